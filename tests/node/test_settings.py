"""The table of settings: what a process is told, where from, and what it hears when that is wrong."""

from __future__ import annotations

import pytest

from azureml_databricks.node.variables import wanted
from azureml_databricks.settings import TABLE, SettingError, Settings, Value
from tests.emulated.workspace import GIVEN, SUBSCRIPTION, TRACKING_URI

PARTS = {
    "AZUREML_SUBSCRIPTION_ID": SUBSCRIPTION,
    "AZUREML_RESOURCE_GROUP": "rg",
    "AZUREML_WORKSPACE_NAME": "ws",
    "AZUREML_REGION": "westeurope",
}


def laid_down(**texts: str) -> dict[str, Value]:
    return {name: Value(text, name, "in /Volumes/x.json") for name, text in texts.items()}


def test_a_variable_wins_over_the_file_and_the_file_over_the_default() -> None:
    settings = Settings({"AZUREML_MODE": "tracking"}, laid_down(mode="registry", onError="fail"))

    assert settings["mode"] == "tracking"
    assert settings["onError"] == "fail"
    assert settings["auth"] == "service-principal"
    assert [settings.values[name].origin for name in ("mode", "onError", "auth")] == [
        "a variable of this process",
        "in /Volumes/x.json",
        "the default",
    ]


def test_what_a_parent_exported_from_the_file_is_still_the_files() -> None:
    settings = Settings({"AZUREML_MODE": "registry"}, laid_down(mode="registry"))

    assert settings.values["mode"].origin == "in /Volumes/x.json"


def test_an_empty_variable_counts_as_not_set() -> None:
    assert Settings({"AZUREML_MODE": ""}, laid_down(mode="registry"))["mode"] == "registry"


def test_nothing_is_asked_where_no_workspace_is_named() -> None:
    assert not Settings({"AZURE_CLIENT_ID": "x", "AZUREML_MODE": "full"}, {}).asked
    assert Settings({"AZUREML_REGION": "westeurope"}, {}).asked
    assert not Settings({**PARTS, "AZUREML_ENABLED": "false"}, {}).asked


@pytest.mark.parametrize(
    ("cloud", "domain"),
    [
        ("", "api.azureml.ms"),
        ("AzureCloud", "api.azureml.ms"),
        ("AzureUSGovernment", "api.ml.azure.us"),
        ("AzureChinaCloud", "api.ml.azure.cn"),
    ],
)
def test_a_tracking_uri_is_composed_for_each_clouds_own_host(cloud: str, domain: str) -> None:
    settings = Settings({**PARTS, "AZUREML_CURRENT_CLOUD": cloud}, {})

    workspace = settings.workspace()
    variables = wanted(settings, {})

    assert workspace.tracking_uri == TRACKING_URI.replace("api.azureml.ms", domain)
    assert variables
    assert variables.overrides["AZUREML_CURRENT_CLOUD"][0] == (cloud or "AzureCloud")


def test_the_cloud_follows_from_a_given_tracking_uri() -> None:
    uri = TRACKING_URI.replace("api.azureml.ms", "api.ml.azure.us")

    variables = wanted(Settings({"AZUREML_TRACKING_URI": uri}, {}), {})

    assert variables
    assert variables.overrides["AZUREML_CURRENT_CLOUD"][0] == "AzureUSGovernment"


def test_a_region_may_be_written_as_the_portal_shows_it() -> None:
    assert Settings({**PARTS, "AZUREML_REGION": "West Europe"}, {}).workspace().tracking_uri == TRACKING_URI


# Each of these was seen, or crashes the plugin with an AttributeError.
@pytest.mark.parametrize(
    "pasted",
    [
        TRACKING_URI,
        TRACKING_URI.replace("/mlflow/v2.0", "/mlflow/v1.0"),
        TRACKING_URI + "/",
        TRACKING_URI + "?is-remote=True",
        f"  {TRACKING_URI}\n",
        TRACKING_URI.replace("azureml://", "https://"),
        TRACKING_URI.replace("azureml://", "AzureML://"),
        TRACKING_URI.replace("resourceGroups", "resourcegroups"),
        TRACKING_URI.replace("Microsoft.MachineLearningServices", "microsoft.machinelearningservices"),
        TRACKING_URI.replace("westeurope.", "WestEurope."),
    ],
)
def test_what_people_paste_becomes_the_one_form_that_the_plugin_reads(pasted: str) -> None:
    assert Settings({"AZUREML_TRACKING_URI": pasted}, {}).workspace().tracking_uri == TRACKING_URI


def test_a_private_links_host_is_kept() -> None:
    uri = TRACKING_URI.replace("westeurope.api", "1a2b.workspace.westeurope.api")

    assert Settings({"AZUREML_TRACKING_URI": uri}, {}).workspace().tracking_uri == uri


_WHERE = "take it from the workspace's overview page (MLflow tracking URI)"


@pytest.mark.parametrize(
    ("environ", "file", "said"),
    [
        (
            {"AZUREML_TRACKING_URI": "azureml://x"},
            {},
            "AZUREML_TRACKING_URI (a variable of this process) is 'azureml://x': "
            f"no /subscriptions/... in it; {_WHERE}",
        ),
        (
            {},
            {"trackingUri": "databricks"},
            f"trackingUri (in /Volumes/x.json) is 'databricks': it does not start with azureml://; {_WHERE}",
        ),
        (
            {"AZUREML_TRACKING_URI": TRACKING_URI.replace("/workspaces/ws", "")},
            {},
            "AZUREML_TRACKING_URI (a variable of this process) is "
            f"'{TRACKING_URI.replace('/workspaces/ws', '')}': no /workspaces/... in it; {_WHERE}",
        ),
        (
            {"AZUREML_TRACKING_URI": TRACKING_URI.replace(SUBSCRIPTION, "mine")},
            {},
            "AZUREML_TRACKING_URI (a variable of this process) is "
            f"'{TRACKING_URI.replace(SUBSCRIPTION, 'mine')}': subscription 'mine' is not a GUID; "
            "take the subscription ID from the workspace's overview page",
        ),
        (
            {"AZUREML_TRACKING_URI": TRACKING_URI.replace("/ws", "/w s")},
            {},
            "AZUREML_TRACKING_URI (a variable of this process) is "
            f"'{TRACKING_URI.replace('/ws', '/w s')}': "
            f"workspace name 'w s' is not one that Azure allows; {_WHERE}",
        ),
        (
            {"AZUREML_REGION": "westeurope"},
            {},
            "subscriptionId is not set: the workspace needs subscriptionId, resourceGroup, "
            "workspaceName, region, or trackingUri alone",
        ),
        (
            {**GIVEN, "AZUREML_MODE": "both"},
            {},
            "AZUREML_MODE (a variable of this process) is 'both': use one of full, tracking, registry",
        ),
        (
            GIVEN,
            {"cloud": "public"},
            "cloud (in /Volumes/x.json) is 'public': "
            "use one of AzureCloud, AzureUSGovernment, AzureChinaCloud",
        ),
        (
            {**GIVEN, "AZUREML_CURRENT_CLOUD": "AzureChinaCloud"},
            {},
            "AZUREML_CURRENT_CLOUD (a variable of this process) is 'AzureChinaCloud': the tracking URI's "
            "host westeurope.api.azureml.ms is in AzureCloud; leave it out",
        ),
        (
            {**PARTS, "AZUREML_SUBSCRIPTION_ID": "mine"},
            {},
            "AZUREML_SUBSCRIPTION_ID (a variable of this process) is 'mine': subscription 'mine' is not a "
            "GUID; take the subscription ID from the workspace's overview page",
        ),
        (
            {**GIVEN, "AZUREML_AUTH": "browser"},
            {},
            "AZUREML_AUTH (a variable of this process) is 'browser': use one of service-principal, "
            "managed-identity, workload-identity, service-credential",
        ),
        (
            {**GIVEN, "AZUREML_ON_ERROR": "ignore"},
            {},
            "AZUREML_ON_ERROR (a variable of this process) is 'ignore': use one of warn, fail",
        ),
        (
            GIVEN,
            {"asyncLogging": "yes"},
            "asyncLogging (in /Volumes/x.json) is 'yes': "
            "use one of true, false, 1, 0, True, False, TRUE, FALSE",
        ),
        (
            GIVEN,
            {"experiment": "{user}-{notbook}"},
            "experiment (in /Volumes/x.json) is '{user}-{notbook}': {notbook} stands for nothing; there are "
            "{user} and {notebook}",
        ),
    ],
)
def test_a_wrong_setting_says_its_value_its_origin_and_what_to_do(
    environ: dict[str, str], file: dict[str, str], said: str
) -> None:
    with pytest.raises(SettingError) as raised:
        Settings(environ, laid_down(**file)).workspace()

    assert str(raised.value) == said


def test_an_error_never_shows_a_secret() -> None:
    settings = Settings({"AZURE_CLIENT_SECRET": "s3cr3t"}, {})

    assert "s3cr3t" not in str(settings.error("clientSecret", "wrong"))


def test_variables_that_others_define_keep_their_names() -> None:
    theirs = {setting.variable for setting in TABLE if not setting.variable.startswith("AZUREML_")}

    assert theirs == {
        "AZURE_TENANT_ID",
        "AZURE_CLIENT_ID",
        "AZURE_CLIENT_SECRET",
        "AZURE_FEDERATED_TOKEN_FILE",
        "DATABRICKS_DEFAULT_SERVICE_CREDENTIAL_NAME",
        "MLFLOW_ENABLE_ASYNC_LOGGING",
    }


@pytest.mark.parametrize("text", ["true", "True", "1", "FALSE"])
def test_what_mlflow_reads_of_its_own_variable_is_no_wrong_setting(text: str) -> None:
    assert Settings({**GIVEN, "MLFLOW_ENABLE_ASYNC_LOGGING": text}, {}).problem == ""


@pytest.mark.parametrize(
    ("auth", "missing"),
    [
        ("service-principal", ["AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET"]),
        ("managed-identity", []),
        ("workload-identity", ["AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_FEDERATED_TOKEN_FILE"]),
        ("service-credential", ["DATABRICKS_DEFAULT_SERVICE_CREDENTIAL_NAME"]),
        ("browser", []),
    ],
)
def test_what_a_login_needs_depends_on_its_way(auth: str, missing: list[str]) -> None:
    assert Settings({"AZUREML_AUTH": auth}, {}).missing_for_login == missing
