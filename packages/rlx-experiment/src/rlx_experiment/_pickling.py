"""Values that may hold functions, closures and those of ``__main__`` included, as bytes."""


def dump(value: object) -> bytes:
    """Return a pickle of `value` that may hold functions."""
    import cloudpickle

    data: bytes = cloudpickle.dumps(value)  # pyright: ignore[reportUnknownMemberType]
    return data
