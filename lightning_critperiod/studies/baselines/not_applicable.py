"""What a baseline raises in a project that it was not made for."""


class NotApplicable(ValueError):
    """The baseline does not exist for this project; a study goes on without it, and that is no failure."""
