"""Exception handlers: whatever ends a request becomes a problem document."""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException

from services.common.openapi import documented_methods, documented_names
from services.common.problems import database_problem, http_problem, problem_response, validation_problem


async def handle_http(request: Request, error: Exception) -> JSONResponse:
    """HTTPException and ProblemError; a 405 names every method of the path, not only the first route's."""
    assert isinstance(error, HTTPException)
    problem = http_problem(error)
    if problem.status_code == 405:
        path = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
        methods = documented_methods(request.app.openapi(), path)
        if methods:
            problem.headers = {**(problem.headers or {}), "Allow": ", ".join(sorted(methods))}
    return problem_response(problem)


async def handle_validation(request: Request, error: Exception) -> JSONResponse:
    """Requests that do not fit their description."""
    assert isinstance(error, RequestValidationError)
    return problem_response(validation_problem(error.errors(), documented_names(request.app.openapi())))


async def handle_database(_: Request, error: Exception) -> JSONResponse:
    """Database errors that are the client's business; the rest goes on as a 500."""
    assert isinstance(error, SQLAlchemyError)
    problem = database_problem(error)
    if problem.status_code == 500:
        raise error
    return problem_response(problem)


def install_handlers(app: FastAPI) -> None:
    """Register every handler."""
    app.add_exception_handler(HTTPException, handle_http)
    app.add_exception_handler(RequestValidationError, handle_validation)
    app.add_exception_handler(SQLAlchemyError, handle_database)
