"""On-call automation: alerts come in, runbooks answer them or wait for approval, and people see both."""
