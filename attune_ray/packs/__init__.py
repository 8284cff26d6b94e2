"""A pack's folder → its script actions, its workflows and its configuration."""

from attune_ray.packs.configuration import config_secrets, keystore_warnings, load_config, load_keystore
from attune_ray.packs.load import Pack, load_pack

__all__ = ["Pack", "config_secrets", "keystore_warnings", "load_config", "load_keystore", "load_pack"]
