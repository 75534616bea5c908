"""Find out which language a text is in, offline, by the model that py3langid brings along."""

from collections import defaultdict
from functools import cache
from typing import Any, Final

from shared.job_types.documents import Language

UNKNOWN: Final = "und"
_NO_LANGUAGE: Final = "zxx"
_WINDOW: Final = 600
_WINDOWS: Final = 16
_FEW_LETTERS: Final = 12
_UNSURE: Final = 0.3

NAMES: Final = {
    "ar": "Arabic", "bg": "Bulgarian", "bn": "Bengali", "ca": "Catalan", "cs": "Czech",
    "cy": "Welsh", "da": "Danish", "de": "German", "el": "Greek", "en": "English",
    "eo": "Esperanto", "es": "Spanish", "et": "Estonian", "eu": "Basque", "fa": "Persian",
    "fi": "Finnish", "fr": "French", "ga": "Irish", "gl": "Galician", "gu": "Gujarati",
    "he": "Hebrew", "hi": "Hindi", "hr": "Croatian", "hu": "Hungarian", "hy": "Armenian",
    "id": "Indonesian", "is": "Icelandic", "it": "Italian", "ja": "Japanese", "ka": "Georgian",
    "km": "Khmer", "ko": "Korean", "la": "Latin", "lo": "Lao", "lt": "Lithuanian",
    "lv": "Latvian", "mk": "Macedonian", "mr": "Marathi", "ms": "Malay", "my": "Burmese",
    "nl": "Dutch", "no": "Norwegian", "pl": "Polish", "pt": "Portuguese", "ro": "Romanian",
    "ru": "Russian", "sk": "Slovak", "sl": "Slovenian", "sq": "Albanian", "sr": "Serbian",
    "sv": "Swedish", "sw": "Swahili", "ta": "Tamil", "te": "Telugu", "th": "Thai",
    "tl": "Tagalog", "tr": "Turkish", "uk": "Ukrainian", "und": "not recognised", "ur": "Urdu",
    "vi": "Vietnamese", "zh": "Chinese",
}  # fmt: skip


def language_of(text: str, hint: str | None) -> Language:
    """Name the language of *text*: as the caller said, else as most of its windows look.

    The confidence is the mean probability of that language over up to 16 windows of 600
    characters, spread over the text.
    """
    if hint is not None:
        return Language(code=hint, confidence=1.0)
    windows = [window for window in _windows(text) if _letters(window) >= _FEW_LETTERS]
    if not windows:
        return Language(code=UNKNOWN, confidence=0.0)
    chances: dict[str, float] = defaultdict(float)
    for window in windows:
        for code, chance in identifier().rank(window):
            chances[code] += float(chance) / len(windows)
    code, chance = max(chances.items(), key=lambda item: item[1])
    if code == _NO_LANGUAGE or chance < _UNSURE:
        return Language(code=UNKNOWN, confidence=0.0)
    return Language(code=code, confidence=round(min(chance, 1.0), 3))


@cache
def identifier() -> Any:
    """Load the model, once; half a second that the nursery spends beforehand."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def _windows(text: str) -> list[str]:
    step = max(_WINDOW, len(text) // _WINDOWS)
    return [text[start : start + _WINDOW] for start in range(0, len(text), step)]


def _letters(text: str) -> int:
    return sum(map(str.isalpha, text))
