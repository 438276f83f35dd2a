"""What went wrong: the request, or the run."""


class RequestError(ValueError):
    """A request that cannot be carried out: says in one line what, where, and what would be right.

    The command turns it into exit status 2. It is raised before anything is written. Within a step of a run it becomes
    a RunError.
    """


class RunError(RuntimeError):
    """A run that broke after it had begun: says in one line where, why, and how to go on.

    The command turns it into exit status 1.
    """
