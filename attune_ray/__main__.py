"""``python -m attune_ray``: the command line."""

from attune_ray.cli import main

if __name__ == "__main__":
    main()
