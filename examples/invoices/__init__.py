"""An example: three kinds of work around invoices, as a user of this project writes them."""
