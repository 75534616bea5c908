"""What the chapters on faults share: places on real servers, made where others use them too."""

from tests.broker.conftest import amqp_url as amqp_url  # noqa: PLC0414  # shared by its name
from tests.broker.conftest import yard as yard  # noqa: PLC0414  # see amqp_url
from tests.integration.conftest import bare_database as bare_database  # noqa: PLC0414  # see above
from tests.integration.conftest import server_url as server_url  # noqa: PLC0414  # see above
