"""Objects from their configs, with any jsonargparse from the oldest on that we allow."""

from typing import Any

from jsonargparse import ArgumentParser, Namespace


def instantiate(parser: ArgumentParser, parsed: Namespace) -> Any:
    """What was parsed, with the objects that its ``class_path`` and ``init_args`` stand for.

    Args:
        parser: The parser that parsed it.
        parsed: What it returned.

    Returns:
        A namespace.
    """
    # The method's name from jsonargparse 4.49 on; the older name warns from there on.
    make = getattr(parser, "instantiate", None) or parser.instantiate_classes
    return make(parsed)


def made(kind: type, config: Any) -> Any:
    """An object from its config.

    Args:
        kind: Its base class.
        config: ``class_path`` and ``init_args``, whose values may be objects of that form themselves.

    Returns:
        The object.
    """
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--made", type=kind)
    return instantiate(parser, parser.parse_object({"made": config})).made
