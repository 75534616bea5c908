"""What the doctor prints, and how it judges what it was told."""

import io

import pytest

from shared.broker.examine import policies, version
from shared.contract.findings import Health, sound, unknown, wrong
from shared.doctor import report


def test_a_sound_house_is_exit_code_0() -> None:
    """What could not be told is no failure, and is counted apart."""
    told = io.StringIO()

    assert report([sound("a", "well"), unknown("b", "dark")], as_json=False, to=told) == 0
    assert "1 sound, 0 wrong, 1 not known" in told.getvalue()


def test_what_is_wrong_comes_with_its_cure() -> None:
    """And is exit code 1."""
    told = io.StringIO()

    assert report([wrong("a", "ill", "Mend it.")], as_json=False, to=told) == 1
    assert "WRONG    a: ill\n         -> Mend it.\n" in told.getvalue()


@pytest.mark.parametrize(
    ("text", "health"),
    [
        ("3.9.27", Health.WRONG),
        ("3.10.8", Health.SOUND),
        ("4.0.5", Health.SOUND),
        ("nonsense", Health.UNKNOWN),
    ],
)
def test_versions_of_the_broker(text: str, health: Health) -> None:
    """Quorum queues as we use them came with 3.10."""
    assert version(text).health is health


@pytest.mark.parametrize("rules", ['{"message-ttl":1}', {"delivery-limit": 5}, {"expires": 9}])
def test_policies_that_harm_knocks(rules: object) -> None:
    """Definitions come as text or as members, by the broker's version."""
    [found] = policies([{"name": "p", "pattern": "", "definition": rules}], pools=["default"])
    assert found.health is Health.WRONG


@pytest.mark.parametrize("rules", ['{"queue-mode":"lazy"}', {"delivery-limit": 50}, {}])
def test_policies_that_do_not(rules: object) -> None:
    """An operator may turn what he likes besides."""
    listed = [{"name": "p", "pattern": "", "definition": rules}]
    assert list(policies(listed, pools=["default"])) == []
