"""An ear that ends before it hears anything."""


def main() -> None:
    raise SystemExit(1)
