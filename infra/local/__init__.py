"""What runs on this machine: the toolchain, the images and the local regions."""
