"""The file that describes a deployment: what is wrong in it is told by line, key and what to do."""

from __future__ import annotations

import codecs
import io
import json
import re
import subprocess
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from azureml_databricks.admin.bundle.archives import RUNTIMES
from azureml_databricks.admin.commands.output import Output
from azureml_databricks.admin.file import reading as deployment_file
from azureml_databricks.admin.file import rules, toml_file
from azureml_databricks.admin.file.deployment import Deployment, Login, Policy
from azureml_databricks.settings import BY_NAME
from tests import REPOSITORY
from tests.admin.command import SCRIPT, Command, Done

WORKSPACE_ID = (
    "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/analytics"
    "/providers/Microsoft.MachineLearningServices/workspaces/forecasting"
)
TRACKING_URI = f"azureml://westeurope.api.azureml.ms/mlflow/v2.0{WORKSPACE_ID}"
DATABRICKS = 'host = "https://adb-1.2.azuredatabricks.net"'
WORKSPACE = f'id = "{WORKSPACE_ID}"'
CLUSTERS = 'runtimes = ["15.4"]\naccessMode = "standard"\nlocation = "/Volumes/sales/ml/azureml"'
POLICY = 'name = "azureml"\ngroups = ["data-scientists"]'
NOT_IN_A_FILE = (
    "a secret is in no file of ours; give it in the policy as spark_env_vars, {{secrets/scope/key}}"
)


@pytest.fixture
def run(tmp_path: Path) -> Command:
    """The command line, on a machine that knows no Databricks and no Azure."""
    return Command(tmp_path, {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)})


def described(**sections: str) -> str:
    """A file that is right, but for the sections given. The heads are on lines 1, 4, 7, 12 and 16."""
    usual = {"databricks": DATABRICKS, "workspace": WORKSPACE, "clusters": CLUSTERS, "policy": POLICY}
    return "".join(f"[{name}]\n{text}\n\n" for name, text in {**usual, **sections}.items())


def clusters(**keys: str) -> str:
    usual = {"runtimes": '["15.4"]', "accessMode": '"standard"', "location": '"/Volumes/sales/ml/azureml"'}
    return "\n".join(f"{key} = {value}" for key, value in {**usual, **keys}.items() if value)


BAD = {
    "a secret among the settings": (
        described(settings='clientSecret = "s3cr3t"'),
        [
            ":17: settings.clientSecret: no secret belongs in here: `azureml-databricks secrets set` puts it "
            "into the secret scope"
        ],
    ),
    "a setting by its variable's name": (
        described(settings='AZUREML_ON_ERROR = "fail"'),
        [":17: settings.AZUREML_ON_ERROR is not a setting: did you mean onError?"],
    ),
    "a setting that is like none": (
        described(settings="zzzz = 1"),
        [
            ":17: settings.zzzz is not a setting: there are enabled, mode, experiment, experimentPaths, "
            "asyncLogging, onError, env"
        ],
    ),
    "a setting without its heading": (
        described(policy=f'{POLICY}\nonError = "fail"'),
        [":15: policy.onError is not known: onError is a setting, which belongs below a line [settings]"],
    ),
    "no TOML": (
        "[databricks",
        [" is not TOML: Expected ']' at the end of a table declaration (at end of document)"],
    ),
    "an unknown section": (
        described(cluster=""),
        [":16: cluster is not known: did you mean clusters?"],
    ),
    "an unknown key": (
        described(policy=f'{POLICY}\nusrs = ["ann@contoso.com"]'),
        [":15: policy.usrs is not known: did you mean users?"],
    ),
    "a key that is like none": (
        described(databricks=f"{DATABRICKS}\nx = 1"),
        [":3: databricks.x is not known: there are host, profile"],
    ),
    "nothing at all": (
        "",
        [
            ":1: clusters is missing: a table, [clusters]",
            ":1: databricks is missing: a table, [databricks]",
            ":1: policy is missing: a table, [policy]",
            ":1: workspace is missing: a table, [workspace]",
        ],
    ),
    "a missing key": (
        described(policy='groups = ["data-scientists"]'),
        [":12: policy.name is missing: What users pick it by."],
    ),
    "a number for a text": (
        described(policy="name = 7"),
        [":13: policy.name is 7: it must be a text, in quotation marks"],
    ),
    "a text for a list": (
        described(policy='name = "azureml"\ngroups = "data-scientists"'),
        [""":14: policy.groups is 'data-scientists': it must be a list, ["...", "..."]"""],
    ),
    "a text for a table": (
        described(policy='name = "azureml"\nfixes = "x"'),
        [":14: policy.fixes is 'x': it must be a table"],
    ),
    "a section that is none": (
        f'login = "x"\n{described()}',
        [":1: login is ***: it must be a table: write [login], and its keys below"],
    ),
    "no yes and no no": (
        described(policy=f'{POLICY}\ndeployed = "perhaps"'),
        [":15: policy.deployed is 'perhaps': it must be true or false"],
    ),
    "a rule without quotation marks": (
        described(policy=f'{POLICY}\nfixes.custom_tags.team = {{ type = "fixed", value = "ml" }}'),
        [
            ":15: policy.fixes has custom_tags: it has no type: a path with dots is in quotation marks, "
            '"custom_tags.team" = { type = "fixed", ... }'
        ],
    ),
    "a slip in an attribute's name": (
        described(policy=f'{POLICY}\nfixes.autotermination_minute = {{ type = "fixed", value = 60 }}'),
        [
            ":15: policy.fixes has autotermination_minute: there is no such attribute of a cluster; did you "
            "mean autotermination_minutes?"
        ],
    ),
    "no rule": (
        described(policy=f"{POLICY}\nfixes.num_workers = 1"),
        [
            ":15: policy.fixes has num_workers: it is 1, and no rule: write autotermination_minutes = "
            '{ type = "fixed", value = 60 }'
        ],
    ),
    "a rule of no type": (
        described(policy=f'{POLICY}\nfixes.num_workers = {{ type = "max", value = 1 }}'),
        [
            ":15: policy.fixes has num_workers: its type is 'max': use fixed, forbidden, allowlist, "
            'blocklist, regex, range, unlimited, such as autotermination_minutes = { type = "fixed", '
            "value = 60 }"
        ],
    ),
    "a pattern that nobody can read": (
        described(policy=f'{POLICY}\nfixes.node_type_id = {{ type = "regex", pattern = "(((" }}'),
        [
            ":15: policy.fixes has node_type_id: pattern is '(((', which cannot be read (missing ), "
            'unterminated subpattern at position 2): write node_type_id = { type = "regex", '
            'pattern = "Standard_D.*" }'
        ],
    ),
    "a file's pattern for a rule's": (
        described(policy=f'{POLICY}\nfixes.node_type_id = {{ type = "regex", pattern = "*_D" }}'),
        [
            ":15: policy.fixes has node_type_id: pattern is '*_D', which cannot be read (nothing to repeat "
            'at position 0): write node_type_id = { type = "regex", pattern = "Standard_D.*" }'
        ],
    ),
    "a rule that says too little, and too much": (
        described(policy=f'{POLICY}\nfixes.num_workers = {{ type = "range", maxvalue = 1, hidden = "yes" }}'),
        [
            ":15: policy.fixes has num_workers: hidden is 'yes': it must be true or false, as in "
            'num_workers = { type = "range", maxValue = 10 }',
            ":15: policy.fixes has num_workers: it is a range and has no minValue and no maxValue: write "
            'num_workers = { type = "range", maxValue = 10 }',
            ":15: policy.fixes has num_workers: maxvalue is not known: did you mean maxValue?",
        ],
    ),
    "an empty name": (
        described(policy='name = ""'),
        [":13: policy.name is '': it must be a text that is not empty"],
    ),
    "no address": (
        described(databricks='host = "my workspace"'),
        [
            ":2: databricks.host is 'my workspace': give the address of the Databricks workspace, "
            "https://adb-....azuredatabricks.net"
        ],
    ),
    "a name and no address": (
        described(databricks='host = "analytics"'),
        [
            ":2: databricks.host is 'analytics': give the address of the Databricks workspace, "
            "https://adb-....azuredatabricks.net"
        ],
    ),
    "two ways to Databricks": (
        described(databricks=f'{DATABRICKS}\nprofile = "DEFAULT"'),
        [":1: databricks needs host or profile, one of them"],
    ),
    "no workspace": (
        described(workspace='cloud = "AzureCloud"'),
        [
            ":4: workspace needs name, resourceGroup and subscriptionId; or id; or url; or trackingUri: one "
            "way"
        ],
    ),
    "half a workspace": (
        described(workspace='name = "forecasting"\nresourceGroup = "analytics"'),
        [":4: workspace.subscriptionId is missing: it takes name, resourceGroup and subscriptionId"],
    ),
    "no resource ID": (
        described(workspace='id = "forecasting"'),
        [
            ":5: workspace.id is 'forecasting': no "
            "/subscriptions/.../resourceGroups/.../workspaces/... in it; "
            "take it from the workspace's page in the Azure portal, or the address from the studio"
        ],
    ),
    "a tracking URI that leads elsewhere": (
        described(workspace=f'trackingUri = "{TRACKING_URI.replace("api.azureml.ms", "example.com")}"'),
        [
            f":5: workspace.trackingUri is '{TRACKING_URI.replace('api.azureml.ms', 'example.com')}': "
            "westeurope.example.com is no host of Azure Machine Learning's"
        ],
    ),
    "a tracking URI of another cloud": (
        described(workspace=f'trackingUri = "{TRACKING_URI.replace("api.azureml.ms", "api.ml.azure.us")}"'),
        [
            ":4: workspace.trackingUri is in AzureUSGovernment, and workspace.cloud is AzureCloud: say "
            'cloud = "AzureUSGovernment"'
        ],
    ),
    "no subscription": (
        described(workspace='name = "a"\nresourceGroup = "b"\nsubscriptionId = "c"'),
        [":7: workspace.subscriptionId is 'c': it is not a GUID"],
    ),
    "an unknown cloud": (
        described(workspace=f'{WORKSPACE}\ncloud = "Moon"'),
        [":6: workspace.cloud is 'Moon': use AzureCloud, AzureUSGovernment, AzureChinaCloud"],
    ),
    "an unknown access mode": (
        described(clusters=clusters(accessMode='"shared"')),
        [":9: clusters.accessMode is 'shared': use standard, dedicated, no-isolation"],
    ),
    "an unknown runtime, of several lines": (
        described(clusters=clusters(runtimes='[\n  "15.4",\n  "9.1",\n]', accessMode='"dedicated"')),
        [f":8: clusters.runtimes is '9.1': use {', '.join(f'{it}, {it}-ml' for it in RUNTIMES)}"],
    ),
    "a runtime that is a number": (
        described(clusters=clusters(runtimes="[15.4]")),
        [":8: clusters.runtimes is 15.4: it must be a text, in quotation marks"],
    ),
    "no runtime": (
        described(clusters=clusters(runtimes="[]")),
        [":8: clusters.runtimes is []: it must be a list that is not empty"],
    ),
    "an ML runtime in standard mode": (
        described(clusters=clusters(runtimes='["15.4", "15.4-ml"]')),
        [
            ":8: clusters.runtimes has 15.4-ml: ML runtimes do not run in standard access mode; take it "
            'out, or set accessMode = "dedicated"'
        ],
    ),
    "workspace files in standard mode": (
        described(clusters=clusters(location='"/Workspace/Admins/azureml"')),
        [
            ":10: clusters.location is '/Workspace/Admins/azureml': in standard access mode an init script "
            "is in a volume, /Volumes/..."
        ],
    ),
    "a volume without isolation": (
        described(clusters=clusters(accessMode='"no-isolation"')),
        [
            ":10: clusters.location is '/Volumes/sales/ml/azureml': clusters without isolation read no "
            "volume; give a folder below /Workspace, or another accessMode"
        ],
    ),
    "DBFS": (
        described(clusters=clusters(location='"dbfs:/azureml"')),
        [
            ":10: clusters.location is 'dbfs:/azureml': give a folder as a node sees it, "
            "/Volumes/... or /Workspace/..."
        ],
    ),
    "half a volume": (
        described(clusters=clusters(location='"/Volumes/sales/ml"')),
        [":10: clusters.location is '/Volumes/sales/ml': a volume's path is /Volumes/CATALOG/SCHEMA/VOLUME"],
    ),
    "a folder that everybody writes to": (
        described(clusters=clusters(location='"/Workspace/Shared/azureml"', accessMode='"dedicated"')),
        [
            ":10: clusters.location is '/Workspace/Shared/azureml': every user can write to "
            "/Workspace/Shared, and what lies there would run as root"
        ],
    ),
    "a secret where there is no place for one": (
        described(login='clientSecret = "s3cr3t"'),
        [
            ":17: login.clientSecret is not known, and no secret belongs in here: `azureml-databricks "
            "secrets set` puts it into the secret scope"
        ],
    ),
    "a secret in the place of its name": (
        described(secrets='clientSecret = "s3cr3t~"'),
        [
            ":17: secrets.clientSecret is ***: a name has letters, digits, - _ . @ only; it is the name, "
            "never the secret itself"
        ],
    ),
    "a secret in the place of an ID": (
        described(login='auth = "managed-identity"\nclientId = "s3cr3t"'),
        [":18: login.clientId is ***: it is not a GUID"],
    ),
    "an ID that is in the scope": (
        described(login='clientId = "11111111-2222-3333-4444-555555555555"'),
        [
            ':17: login.clientId has no meaning with auth = "service-principal"; it is in the secret scope '
            "([secrets]): take it out"
        ],
    ),
    "a service credential without its name": (
        described(login='auth = "service-credential"'),
        [':16: login.serviceCredential is missing: auth = "service-credential" needs it'],
    ),
    "a service credential without Unity Catalog": (
        described(
            clusters=clusters(accessMode='"no-isolation"', location='"/Workspace/Admins/azureml"'),
            login='auth = "service-credential"\nserviceCredential = "mlflow"',
        ),
        [
            ':17: login.auth is "service-credential": clusters without isolation have no Unity Catalog; '
            "use another accessMode, or another auth"
        ],
    ),
    "a node's identity in standard mode": (
        described(login='auth = "managed-identity"'),
        [
            ':17: login.auth is "managed-identity": standard access mode keeps code from the node\'s '
            "identity; "
            'use "service-credential", or another accessMode'
        ],
    ),
    "secrets that are not needed": (
        described(
            clusters=clusters(accessMode='"dedicated"'),
            login='auth = "managed-identity"',
            secrets='scope = "azureml"',
        ),
        [':19: secrets has no meaning with auth = "managed-identity", which needs none: take it out'],
    ),
    "two to start from": (
        described(policy=f'{POLICY}\nfamily = "personal-vm"\ndefinition = "policy.json"'),
        [":16: policy.family and policy.definition are both given: a policy starts from one of them"],
    ),
    "a secret among the variables": (
        described(settings='[settings.env]\nTEAM = "churn"\nDB_PASSWORD = "s3cr3t"'),
        [f":19: env.DB_PASSWORD (in [settings]): {NOT_IN_A_FILE}"],
    ),
    "a setting that is none": (
        described(settings='experment = "x"'),
        [":17: settings.experment is not a setting: did you mean experiment?"],
    ),
    "a setting that another section says": (
        described(settings='trackingUri = "azureml://..."'),
        [":17: settings.trackingUri is not said here: [workspace] says it"],
    ),
    "several at once, in the file's order": (
        described(databricks="x = 1", policy="name = 7", settings='mode = "both"'),
        [
            ":2: databricks.x is not known: there are host, profile",
            ":13: policy.name is 7: it must be a text, in quotation marks",
            ":16: mode (in [settings]) is 'both': use one of full, tracking, registry",
        ],
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_what_is_wrong_is_told_by_line_and_key(run: Command, what: str) -> None:
    text, said = BAD[what]
    (run.folder / "azureml-databricks.toml").write_text(text)

    done = run("plan")

    assert done.stderr == "".join(f"Error: azureml-databricks.toml{line}\n" for line in said)
    assert (done.returncode, done.stdout) == (1, "")
    assert "s3cr3t" not in done.stderr


JAVAS = [
    r"15\.[0-9&&[^0-3]]\p{Alpha}++.*",
    r"\QStandard_D(\E.*",
    r"(?<n>a)\k<n>",
    "a(?i)b",
    "(?<=a{1,3})b",
    "^*a",
]


@pytest.mark.parametrize("pattern", JAVAS)
def test_a_pattern_that_only_java_reads_is_left_to_databricks(pattern: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert list(rules.problems("node_type_id", {"type": "regex", "pattern": pattern})) == []


@pytest.mark.parametrize("pattern", ["(((", "a)", "[a-", "[z-a]", "a{2,1}", "a\\", "*a", "(|+)", "(" * 5000])
def test_a_pattern_that_nobody_can_read_is_told(pattern: str) -> None:
    (problem,) = rules.problems("node_type_id", {"type": "regex", "pattern": pattern})
    assert "which cannot be read" in problem
    assert len(problem) < 300


def test_the_console_script_says_the_same(run: Command) -> None:
    text, said = BAD["an unknown key"]
    (run.folder / "azureml-databricks.toml").write_text(text)

    done = subprocess.run([SCRIPT, "plan"], cwd=run.folder, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (1, f"Error: azureml-databricks.toml{said[0]}\n")


def test_without_a_file_it_says_what_writes_one(run: Command) -> None:
    assert run("plan").stderr == (
        "Error: azureml-databricks.toml cannot be read: No such file or directory; "
        "`azureml-databricks init` writes one\n"
    )


def test_a_file_elsewhere_is_named_as_it_was_given(run: Command, tmp_path: Path) -> None:
    (tmp_path / "prod").mkdir()
    (tmp_path / "prod/ml.toml").write_text("[databricks]\nx = 1\n")

    assert run("plan", "--file", "prod/ml.toml").stderr.startswith(
        "Error: prod/ml.toml:1: clusters is missing"
    )


@pytest.mark.parametrize(
    "workspace",
    [
        WORKSPACE,
        f'id = "{WORKSPACE_ID.replace("resourceGroups", "resourcegroups")}"',
        f'url = "https://ml.azure.com/?wsid={WORKSPACE_ID}&tid=22222222-2222-3333-4444-555555555555"',
        f'url = "https://ml.azure.com/home?wsid={WORKSPACE_ID.replace("/", "%2F")}"',
        f'url = "https://portal.azure.com/#@contoso.com/resource{WORKSPACE_ID}/overview"',
        'name = "forecasting"\nresourceGroup = "analytics"\n'
        'subscriptionId = "11111111-2222-3333-4444-555555555555"',
    ],
)
def test_a_workspace_is_named_in_any_of_its_forms(tmp_path: Path, workspace: str) -> None:
    path = tmp_path / "azureml-databricks.toml"
    path.write_text(described(workspace=workspace))

    assert deployment_file.read(path).workspace.parts == (
        "11111111-2222-3333-4444-555555555555",
        "analytics",
        "forecasting",
    )


def test_the_schema_takes_a_right_file_and_refuses_a_wrong_one(run: Command, tmp_path: Path) -> None:
    schema = json.loads(run("schema").stdout)
    jsonschema.Draft7Validator.check_schema(schema)
    path = tmp_path / "azureml-databricks.toml"

    path.write_text(described())
    jsonschema.validate(toml_file.read(path).document, schema)
    for what in ("an unknown key", "an unknown access mode", "an unknown runtime, of several lines"):
        path.write_text(BAD[what][0])
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(toml_file.read(path).document, schema)


def test_every_key_has_words_for_an_editor_to_show(run: Command) -> None:
    schema = json.loads(run("schema").stdout)

    for section in schema["$defs"].values():
        assert all(key.get("description") for key in section["properties"].values())


def test_the_docs_tell_of_every_key() -> None:
    docs = (REPOSITORY / "docs/admin.md").read_text()
    sections: dict[str, Any] = {
        field.alias or name: field.annotation for name, field in Deployment.model_fields.items()
    }
    sections["policy"] = Policy

    for name, section in sections.items():
        assert f"`[{name}]`" in docs
        for key, field in getattr(section, "model_fields", {}).items():
            assert f"`{field.alias or key}`" in docs, f"{name}.{key}"


def test_the_login_is_said_in_settings_that_nodes_know() -> None:
    assert {field.alias or name for name, field in Login.model_fields.items()} <= BY_NAME.keys()


def test_init_writes_a_file_that_only_wants_a_workspace_that_is_there(run: Command) -> None:
    done = run(
        *("init", "--host", "http://127.0.0.1:9", "--workspace", WORKSPACE_ID),
        *("--location", "/Volumes/sales/ml/azureml", "--group", "data-scientists"),
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        "azureml-databricks.toml  what the deployment is to be\n"
        "azureml-databricks.schema.json  for editors, which complete and check it\n"
        "chosen for you: runtimes 18, access mode standard, service-principal; "
        "change them there before you deploy\n"
        "next, a service principal for the clusters:\n"
        'az ad sp create-for-rbac --name "mlflow-on-databricks-forecasting" '
        f'--role "AzureML Data Scientist" --scopes "{WORKSPACE_ID}" | azureml-databricks secrets set\n'
    )
    written = (run.folder / "azureml-databricks.toml").read_text()
    assert written.startswith("#:schema ./azureml-databricks.schema.json\n")
    # Another deployment in the same Databricks workspace has other names.
    named = deployment_file.read(run.folder / "azureml-databricks.toml")
    assert named.secrets.scope == named.policies[0].name == "azureml-forecasting"
    assert named.clusters.location == "/Volumes/sales/ml/azureml/forecasting"
    assert (run.folder / "azureml-databricks.schema.json").read_text() == run("schema").stdout
    assert run("plan").stderr == (
        "Error: http://127.0.0.1:9 cannot be reached ([Errno 111] Connection refused): is the address right, "
        "and does the network (HTTPS_PROXY) let it through?\n"
    )


def test_what_init_writes_as_comments_are_keys_that_there_are(run: Command) -> None:
    run(
        *("init", "--host", "https://adb-1.2.azuredatabricks.net", "--workspace", WORKSPACE_ID),
        *("--location", "/Volumes/sales/ml/azureml", "--group", "users"),
    )
    path = run.folder / "azureml-databricks.toml"
    text, count = re.subn(r"^# (?=\[|\w+ = )", "", path.read_text(), flags=re.MULTILINE)
    path.write_text(text)

    done = run("plan")

    assert count == 16
    assert done.stderr.splitlines() == [
        "Error: azureml-databricks.toml:4: databricks needs host or profile, one of them",
        "Error: azureml-databricks.toml:36: policy.family and policy.definition are both given: a policy "
        "starts from one of them",
    ]


def test_init_leaves_a_file_that_is_there(run: Command) -> None:
    (run.folder / "azureml-databricks.toml").write_text("mine")

    done = run("init", "--host", "x", "--workspace", "x", "--location", "x", "--group", "x")

    assert done.stderr == "Error: azureml-databricks.toml is there already: change it, or move it away\n"
    assert (run.folder / "azureml-databricks.toml").read_text() == "mine"


def init(run: Command, *options: str, **answers: str) -> Done:
    usual = {
        "host": "https://adb-1.2.azuredatabricks.net",
        "workspace": WORKSPACE_ID,
        "location": "/Volumes/sales/ml/azureml",
        "group": "data-scientists",
    }
    given = [f"--{name}={text}" for name, text in {**usual, **answers}.items()]
    return run("init", *given, *options)


def test_init_tells_where_it_cannot_write(run: Command) -> None:
    done = init(run, "--file", "none/azureml-databricks.toml")

    assert done.stderr == ("Error: none/azureml-databricks.toml cannot be written: there is no folder none\n")


@pytest.mark.parametrize(
    ("name", "given", "why"),
    [
        ("host", "analytics", "give the address of the Databricks workspace"),
        ("workspace", "forecasting", "no /subscriptions/"),
        ("location", "/Volumes/sales", "a volume's path is"),
        ("group", "a\x7fb", "it has letters that are not printable"),
    ],
)
def test_init_tells_which_answer_is_wrong_and_leaves_nothing(
    run: Command, name: str, given: str, why: str
) -> None:
    done = init(run, **{name: given})

    assert done.returncode == 1
    assert done.stderr.startswith(f"Error: --{name} is {given!r}: {why}")
    assert done.stderr.endswith("; azureml-databricks.toml is not written\n")
    assert not [path for path in run.folder.iterdir() if not path.name.startswith(".")]


def test_init_writes_what_is_pasted_in_its_usual_form(run: Command) -> None:
    done = init(
        run,
        *("--file", "prod.toml"),
        host="\ufeffADB-1.2.azuredatabricks.net/?o=1 ",
        workspace=f"https://ml.azure.com/?wsid={WORKSPACE_ID.replace('/', '%2F')}&tid=1",
        location="/Volumes/sales/ml/azureml/",
        group="",
    )

    assert (done.returncode, done.stderr) == (0, "")
    written = toml_file.read(run.folder / "prod.toml").document
    assert written["databricks"]["host"] == "https://adb-1.2.azuredatabricks.net"
    assert written["workspace"]["id"] == WORKSPACE_ID
    assert written["clusters"]["location"] == "/Volumes/sales/ml/azureml/forecasting-prod"
    assert written["policy"]["groups"] == []
    assert done.stdout.splitlines()[-1].endswith("| azureml-databricks secrets set --file prod.toml")


def test_init_names_each_file_of_one_workspace_apart(run: Command) -> None:
    for file in ("azureml-databricks.toml", "azureml-databricks-eu west.toml", "prod.toml"):
        done = init(run, "--file", file)

        assert (done.returncode, done.stderr) == (0, "")
        named = deployment_file.read(run.folder / file)
        also = {"prod.toml": "-prod", "azureml-databricks-eu west.toml": "-eu-west"}.get(file, "")
        assert named.secrets.scope == named.policies[0].name == f"azureml-forecasting{also}"
        assert named.clusters.location == f"/Volumes/sales/ml/azureml/forecasting{also}"
        assert f'--name "mlflow-on-databricks-forecasting{also}" ' in done.stdout
    # And what the workspace's name says already is not said twice
    init(run, "--file", "eu.toml", workspace=f"{WORKSPACE_ID}-eu")
    assert deployment_file.read(run.folder / "eu.toml").policies[0].name == "azureml-forecasting-eu"


def test_init_refuses_a_location_that_a_file_beside_it_has(run: Command) -> None:
    (run.folder / "notes.toml").write_text("x = 1")
    folder = "/Workspace/Admins/azureml"
    init(run, location=folder)

    done = init(run, "--file", "prod.toml", location=folder)

    assert done.returncode == 1
    assert done.stderr == (
        f"Error: {folder} is the location of azureml-databricks.toml: one location has one deployment; give "
        "another --location (prod.toml is not written)\n"
    )
    assert not (run.folder / "prod.toml").exists()


@pytest.mark.parametrize("names", ["a" * 100, "größe"])
def test_init_leaves_no_file_that_it_cannot_read_back(run: Command, names: str) -> None:
    # Given an Azure ML workspace whose name makes no name of a policy or of a scope
    done = init(run, workspace=WORKSPACE_ID.replace("forecasting", names))

    assert done.returncode == 1
    assert done.stderr.startswith("Error: azureml-databricks.toml:")
    assert not [path for path in run.folder.iterdir() if not path.name.startswith(".")]


WINDOWS = {
    "UTF-8 with a mark, as Notepad writes": lambda text: text.encode("utf-8-sig"),
    "UTF-16, as > in PowerShell 5 writes": lambda text: text.encode("utf-16"),
    "UTF-16 of big ends": lambda text: codecs.BOM_UTF16_BE + text.encode("utf-16-be"),
    "UTF-16 without a mark": lambda text: text.encode("utf-16-le"),
}


@pytest.mark.parametrize("written", WINDOWS.values(), ids=WINDOWS)
def test_a_file_is_read_as_windows_writes_it(tmp_path: Path, written: Callable[[str], bytes]) -> None:
    path = tmp_path / "azureml-databricks.toml"
    text = described(policy='name = "Modèle €"\ngroups = []\n[settings]\nonError = "fail"')
    path.write_bytes(written(text.replace("\n", "\r\n")))

    deployment = deployment_file.read(path)

    assert deployment.policies[0].name == "Modèle €"
    assert deployment.settings == {"onError": "fail"}


def test_what_a_code_page_lacks_is_no_traceback(run: Command) -> None:
    workspace = WORKSPACE_ID.replace("analytics", "größe-日本")
    done = subprocess.run(
        [
            *(str(SCRIPT), "init", "--host=adb-1.2.azuredatabricks.net", f"--workspace={workspace}"),
            *("--location=/Workspace/a/b", "--group=users"),
        ],
        cwd=run.folder,
        env={**run.environment, "PYTHONIOENCODING": "cp1252"},
        capture_output=True,
        check=True,
    )

    assert "/resourceGroups/größe-\\u65e5\\u672c/".encode("cp1252") in done.stdout
    assert "größe-日本" in (run.folder / "azureml-databricks.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "cp437", "ascii"])
def test_a_json_document_is_one_in_any_code_page(monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    content = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(content, encoding=encoding, write_through=True))

    Output(as_json=True).document(group="größe-日本 \x1b[31m")

    assert json.loads(content.getvalue().decode("utf-8")) == {"group": "größe-日本 \x1b[31m"}
    assert b"\x1b" not in content.getvalue()


def test_init_does_not_wait_for_answers_where_nobody_is(run: Command) -> None:
    done = run("init")

    assert done.returncode == 1
    assert done.stderr == (
        "Error: Missing option '--host', and nobody is there to ask (`azureml-databricks init --help` shows "
        "what there is)\n"
    )
