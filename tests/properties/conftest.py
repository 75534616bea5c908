"""What the walks over the real store stand on."""

from tests.integration.conftest import bench, database, server_url

__all__ = ["bench", "database", "server_url"]
