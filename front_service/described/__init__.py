"""What the service says of itself: OpenAPI for its requests, AsyncAPI for its streams.

Each route of ``front_service.routes`` comes with its ``Operation``; nothing here serves one.
"""
