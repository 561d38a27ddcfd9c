"""What `--help` says besides the options: examples, in which order, what an exit status means."""

from __future__ import annotations

# The order of work: https://click.palletsprojects.com/ would sort them by name.
ORDER = (
    *("init", "secrets", "plan", "deploy", "verify", "status", "destroy", "policy", "bundle", "schema"),
    *("doctor", "node"),
)
EXAMPLES = {
    "init": (
        "azureml-databricks init",
        "azureml-databricks init --file prod.toml --group data-scientists",
    ),
    "set": (
        'az ad sp create-for-rbac --name NAME --role "AzureML Data Scientist" --scopes WORKSPACE_ID '
        "| azureml-databricks secrets set",
        "azureml-databricks secrets set   (it asks, and shows no secret)",
    ),
    "rotate": ("az ad app credential reset --id CLIENT_ID --append | azureml-databricks secrets rotate",),
    "plan": ("azureml-databricks plan", "azureml-databricks plan --json > plan.json"),
    "deploy": ("azureml-databricks deploy", "azureml-databricks deploy --yes --enforce"),
    "verify": ("azureml-databricks verify", "azureml-databricks verify --node-type Standard_D4ds_v5"),
    "status": ("azureml-databricks status",),
    "destroy": ("azureml-databricks destroy",),
    "render": ("azureml-databricks policy render --format terraform > policy.tf.json",),
    "bundle": (
        "azureml-databricks bundle --runtime 15.4 --runtime 17.3 --location /Volumes/main/default/azureml "
        "--out dist",
    ),
}
EPILOG = """\b
In order of work: init, secrets set, plan, deploy, verify.
Exit status: 0 all is done or nothing differs; 1 something is wrong, and an
error says what; 2 plan: something differs; status: something differs, or a
cluster or job is behind; deploy --enforce: one stays behind; destroy:
something stays.

\b
Completion in bash (zsh and fish: zsh_source, fish_source):
  eval "$(_AZUREML_DATABRICKS_COMPLETE=bash_source azureml-databricks)"

\b
Networks as companies have them: HTTPS_PROXY and NO_PROXY; REQUESTS_CA_BUNDLE,
a file of their certificates; UV_DEFAULT_INDEX, a mirror of pypi.org;
UV_PYTHON_INSTALL_MIRROR, one of github.com's Pythons; docs/networks.md in the
repository has the rest. `COMMAND --help` has examples.
"""


def examples(command: str) -> str | None:
    """Return what stands below a command's options; None for nothing."""
    if command not in EXAMPLES:
        return None
    return "\n  ".join(("\b\nExamples:", *EXAMPLES[command]))
