"""Whatever text is in a setting, an address or a Spark conf: it is understood, or told in one line."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from azureml_databricks import tracking_uri
from azureml_databricks.node import spark_conf, variables
from azureml_databricks.settings import TABLE, Settings, Value
from tests.emulated.workspace import TRACKING_URI

PARTS = st.text(st.characters(codec="utf-8"), max_size=12)
NEAR_MISSES = st.tuples(st.integers(0, len(TRACKING_URI)), PARTS, st.integers(0, 3)).map(
    lambda edit: TRACKING_URI[: edit[0]] + edit[1] + TRACKING_URI[edit[0] + edit[2] :]
)
TEXTS = st.one_of(PARTS, NEAR_MISSES, st.sampled_from(["true", "false", "full", "warn", TRACKING_URI]))
ENVIRONMENTS = st.dictionaries(st.sampled_from([setting.variable for setting in TABLE]), TEXTS)
many = settings(max_examples=300)


@many
@given(st.one_of(NEAR_MISSES, st.text(max_size=40)))
def test_an_address_has_one_form_or_is_refused_in_one_line(text: str) -> None:
    try:
        found = tracking_uri.parse(text)
    except tracking_uri.TrackingUriError as error:
        refused = str(error)
    else:
        refused = ""

    if refused:
        assert len(refused.splitlines()) == 1
        return
    assert tracking_uri.parse(found.tracking_uri) == found
    assert found.host.isascii()
    assert not set(found.tracking_uri) & set(" \n\t?#@\\")


@many
@given(ENVIRONMENTS, ENVIRONMENTS)
def test_settings_of_any_text_are_a_workspace_or_one_line(
    environ: dict[str, str], of_the_file: dict[str, str]
) -> None:
    names = {setting.variable: setting.name for setting in TABLE}
    laid_down = {names[key]: Value(text, names[key], "in a file") for key, text in of_the_file.items()}

    read = Settings(environ, laid_down)

    assert len(read.problem.splitlines()) <= 1
    secret = environ.get("AZURE_CLIENT_SECRET", "")
    assert len(secret) < 6 or secret in TRACKING_URI or secret not in read.problem
    variables.wanted(read, laid_down)


@many
@given(st.text(st.characters(codec="utf-8"), max_size=80))
def test_a_spark_conf_of_any_text_is_read(text: str) -> None:
    for key, _ in spark_conf._lines(f'spark.a 1\n{text}\n"spark.azureml.mode" = "full"\n'):
        assert key
