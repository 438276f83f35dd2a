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


def in_one_line(error: Exception, most: int | None = 600) -> str:
    """Return the message of an error in one line of at most `most` characters (None: any number), or else its type."""
    message = " ".join(str(error).split()) or type(error).__name__
    return message if most is None or len(message) <= most else f"{message[:most]}..."
