"""Modules from outside the program that add something to it: worker processes import them too, before all else."""

MODULES: list[str] = []


def added_by(module: str) -> None:
    """To be called where something is registered, with the name of the module that it comes from."""
    if module not in ("__main__", *MODULES):
        MODULES.append(module)
