"""The one exception that means "the request is wrong", as opposed to "something broke"."""


class RequestError(ValueError):
    """A request that cannot be carried out: says in one line what, where, and what would be right.

    The command turns it into exit status 2; it is always raised before any work has begun.
    """
