"""What turns a program into objects on clusters: the real Pulumi engine, or the embedded one."""
