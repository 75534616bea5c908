"""What the manifests say, run on this machine: ``make rehearse``."""
