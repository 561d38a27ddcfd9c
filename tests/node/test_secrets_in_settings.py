"""No secret where it does not belong: whatever its name is, and whoever shows it."""

from __future__ import annotations

from functools import partial

import pytest

from azureml_databricks.admin.objects.changes import Change
from azureml_databricks.node.variables import Wanted
from azureml_databricks.settings import SettingError, Settings, Value, check_of_file, is_secret

SECRET = "abC8Q~s3cr3t.s3cr3t_s3cr3t-s3cr3ts3cr3ta"


@pytest.mark.parametrize(
    "text",
    [
        "https://user:pass@proxy.contoso.com:8080",
        "postgresql://:pass@host/db",
        "DefaultEndpointsProtocol=https;AccountName=x;AccountKey=abc==",
        "Endpoint=sb://x;SharedAccessKeyName=k;SharedAccessKey=abc",
        "https://x.blob.core.windows.net/c?sv=2024&sig=abc%3D",
        "BlobEndpoint=https://x;SharedAccessSignature=sv=1",
        "Server=x;Password=abc",
        "-----BEGIN RSA PRIVATE KEY-----",
        "Bearer abc",
        "eyJhbGciOiJSUzI1NiJ9.eyJ.x",
        "dapi0123456789abcdef0123456789abcdef",
    ],
)
def test_a_text_that_is_a_secret_is_one_under_any_name(text: str) -> None:
    for name in ("experiment", "env.HARMLESS"):
        assert is_secret(name, text)
        with pytest.raises(SettingError) as raised:
            check_of_file(name, "in x.toml", text)
        assert text not in str(raised.value)
    settings = Settings({"AZUREML_EXPERIMENT": text}, {})
    assert text not in str(settings.error("experiment", "wrong"))


@pytest.mark.parametrize(
    "name",
    [
        *(
            "DB_PASS",
            "API_KEYS",
            "GITHUB_PAT",
            "apiKey",
            "MYAPIKEY",
            "DBPASSWORD",
            "STORAGE_CONNECTION_STRING",
        ),
        *("AUTHORIZATION", "PASSPHRASE", "AccessToken", "AZURE_STORAGE_SAS"),
    ],
)
def test_more_names_are_secrets(name: str) -> None:
    assert is_secret(f"env.{name}")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("TOKENIZERS_PARALLELISM", "false"),
        ("MLFLOW_DFS_TMP", "/Volumes/a/b/c"),
        ("HTTPS_PROXY", "http://proxy.contoso.com:8080"),
        ("MAX_TOKENS", "100"),
        ("MONKEY", "a=b;signal=1"),
        ("CONTACT", "ada@contoso.com"),
    ],
)
def test_what_only_sounds_like_one_is_none(name: str, text: str) -> None:
    assert not is_secret(f"env.{name}", text)


def test_an_id_that_is_none_may_be_the_secret_of_a_swapped_key() -> None:
    settings = Settings({"AZURE_CLIENT_ID": SECRET, "AZURE_TENANT_ID": SECRET}, {})

    for name in ("clientId", "tenantId"):
        assert is_secret(name, SECRET)
        assert SECRET not in str(settings.error(name, "wrong"))
    assert not is_secret("tenantId", "contoso.onmicrosoft.com")
    assert not is_secret("clientId", "11111111-2222-3333-4444-555555555555")


def test_no_representation_has_a_secret() -> None:
    settings = Settings({"AZURE_CLIENT_SECRET": SECRET}, {})
    put = Change("create", "secret", "azureml/clientSecret", partial(dict, value=SECRET))

    for it in (Value(SECRET, "k", "o"), settings.values, Wanted({"A": SECRET}, {}, {"B": SECRET}), put):
        assert SECRET not in repr(it)
