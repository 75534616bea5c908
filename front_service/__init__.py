"""The front service: takes requests in at the desk, hands out tickets, tells how jobs go on."""
