"""Container images: what they are made of, how they are built, and how they get into regions and registries."""

from infra.local.images.build import BuiltImage, build, image_references

__all__ = ["BuiltImage", "build", "image_references"]
