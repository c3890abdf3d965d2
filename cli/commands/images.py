"""`vitalops images`: build container images, load them into local regions, push them to a registry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from cli import complete, context
from cli.examples import examples
from cli.output import emit, table
from cli.progress import progress

if TYPE_CHECKING:
    from infra.local.images.build import BuiltImage
    from infra.local.images.load import Loaded
    from infra.local.images.push import Pushed

app = typer.Typer(help="Build container images and load them into regions.", no_args_is_help=True)
MEGABYTE = 1_000_000

Names = Annotated[
    list[str] | None, typer.Argument(help="Images; all if none is named.", metavar="[IMAGE]...")
]


@dataclass(frozen=True, slots=True)
class ListedImage:
    """An image as it would be built now. `size` in bytes, compressed; None until it is built."""

    name: str
    reference: str
    built: bool
    size: int | None
    uid: int
    ports: tuple[int, ...]
    writable: tuple[str, ...]
    summary: str


@app.command()
@examples(
    "vitalops images build", "vitalops images build services gateway", "vitalops images build --output json"
)
def build(names: Names = None) -> None:
    """Build what is not built yet. An image is built again only when what it is made of has changed."""
    from infra.local.images.build import build as build_images

    platform = context.current().load_platform()
    with progress() as steps:
        built = build_images(platform, names, steps)
    emit(list(built.values()), _render_built)


@app.command("list")
@examples("vitalops images list", "vitalops images list --output json")
def list_images() -> None:
    """Show every image: its reference, whether it is built, and the user it runs as."""
    from infra.local.images.build import finished, image_references
    from infra.local.images.definitions import IMAGES

    platform = context.current().load_platform()
    references = image_references(platform)
    there = finished(platform)
    listed = [
        ListedImage(
            name=name,
            reference=references[name],
            built=(image := there[name]) is not None,
            size=image.size if image else None,
            uid=facts.uid,
            ports=facts.ports,
            writable=facts.writable,
            summary=facts.summary,
        )
        for name, facts in IMAGES.items()
    ]
    emit(listed, _render_listed)


@app.command()
@examples("vitalops images load", "vitalops images load services --region fr-par")
def load(
    names: Names = None,
    region: Annotated[
        list[str] | None,
        typer.Option(
            "--region",
            "-r",
            help="A region or pair; may be repeated. Default: those that start.",
            autocompletion=complete.regions_and_pairs,
        ),
    ] = None,
) -> None:
    """Bring images into local regions, building them first where needed. A region gets only what it lacks."""
    from infra.local.images.build import build as build_images
    from infra.local.images.load import load as load_images
    from vitalops.model.selection import resolve_regions

    platform = context.current().load_platform()
    chosen = resolve_regions(platform, region or ())
    local = [name for name in chosen if platform.regions[name].cluster == "local"]
    with progress() as steps:
        loaded = load_images(local, build_images(platform, names, steps), steps)
    emit(list(loaded), _render_loaded)


@app.command()
@examples("vitalops images push", "vitalops images push services --insecure")
def push(
    names: Names = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Also talk to a registry without trusted TLS.")
    ] = False,
) -> None:
    """Push images to the registry that platform.yaml names, building them first where needed.

    Credentials are those of `buildah login`.
    """
    from infra.local.images.build import build as build_images
    from infra.local.images.push import push as push_images
    from infra.local.images.push import require_registry

    platform = context.current().load_platform()
    require_registry(platform)
    with progress() as steps:
        built = build_images(platform, names, steps)
        pushed = push_images(platform, built.values(), steps, verify_tls=not insecure)
    emit(list(pushed), _render_pushed)


def _render_built(images: list[BuiltImage]) -> str:
    rows = [
        (
            image.name,
            image.reference,
            f"{image.size / MEGABYTE:.1f} MB",
            "already built" if image.cached else f"built in {image.seconds:.1f} s",
        )
        for image in images
    ]
    return table(("image", "reference", "size", "state"), rows)


def _render_listed(images: list[ListedImage]) -> str:
    rows = [
        (
            image.name,
            image.reference,
            f"{image.size / MEGABYTE:.1f} MB" if image.size is not None else "not built",
            image.uid,
            image.summary,
        )
        for image in images
    ]
    return table(("image", "reference", "size", "user", "what"), rows)


def _render_loaded(regions: list[Loaded]) -> str:
    if not regions:
        return "no local region among those chosen"
    rows = [
        (
            region.region,
            ", ".join(region.references) or "had everything",
            f"{region.sent / MEGABYTE:.1f} MB",
            f"{region.seconds:.1f} s",
        )
        for region in regions
    ]
    return table(("region", "loaded", "sent", "time"), rows)


def _render_pushed(images: list[Pushed]) -> str:
    rows = [(image.name, image.reference, f"{image.seconds:.1f} s") for image in images]
    return table(("image", "reference", "time"), rows)
