"""What can be seen of the services from outside."""
