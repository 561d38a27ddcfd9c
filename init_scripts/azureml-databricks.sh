#!/usr/bin/env bash
#
# Databricks init script: points MLflow on this node at an Azure Machine Learning workspace.
#
# It chooses the bundle for the node's runtime, checks it, unpacks it and hands over to the Python in it. It
# needs bash, coreutils, tar and the node's Python; no network, no pip. It may run again, twice at once, or be
# killed at any point.
#
# `azureml-databricks bundle` fills in the constants below.
#
# Variables it reads (a cluster policy sets the first two under spark_env_vars):
#   AZUREML_ENABLED          false: do nothing
#   AZUREML_ON_ERROR         warn: a failure here starts the cluster without us; fail: it stops the launch
#   DATABRICKS_RUNTIME_VERSION  the runtime, where the node has no /databricks/DBR_VERSION
#   (in standard access mode on runtime 19 none of these reach it: all that it needs is in it and in its settings)
#   AZUREML_DATABRICKS_ROOT  what stands for / (only where there is no /databricks: tests)
# The Python it hands over to reads the settings' variables: see the README.

set -euo pipefail

# Where the archives and the settings lie for the node.
readonly LOCATION=@LOCATION@
# A line a bundle, the oldest runtime's first: runtime, its Python, archive, SHA-256, and the releases that it was
# tried on, separated by commas.
readonly BUNDLES=@BUNDLES@
readonly SETTINGS=@SETTINGS@
readonly ON_ERROR="${AZUREML_ON_ERROR:-@ON_ERROR@}"

ROOT="${AZUREML_DATABRICKS_ROOT:-}"
[[ ! -e /databricks ]] || ROOT=""
readonly ROOT
readonly FROM="$ROOT$LOCATION"
readonly HOME_FOLDER="$ROOT/databricks/azureml-databricks"
readonly PYTHON="$ROOT/databricks/python3/bin/python"
readonly UNPACKED="$HOME_FOLDER/unpacking.$$"
readonly COPY="$UNPACKED/archive"
# What `node install` exits with where the bundle is in service, to tell of a wrong setting.
readonly WRONG_SETTING=3
readonly NOTICE="$ROOT/etc/ipython/startup/01-azureml-databricks-notice.py"

# A full disk for the logs is no reason to fail.
say() {
  printf 'azureml-databricks: %s\n' "$*" 2>/dev/null || true
}

# Ends the script as onError says, with what is wrong and what to do.
give_up() {
  say "$*" >&2
  rm -rf "$UNPACKED" || true
  if [[ $ON_ERROR == fail ]]; then
    say "the cluster does not start, since onError is fail" >&2
    exit 1
  fi
  if [[ -e $HOME_FOLDER/current ]]; then
    say "the cluster starts, with what an earlier run put into service, since onError is warn" >&2
  else
    say "the cluster starts as if azureml-databricks were not there, since onError is warn" >&2
    leave_word "$*"
  fi
  exit 0
}

# Whatever nobody foresaw: a cluster starts, unless its admin said otherwise.
on_exit() {
  local code=$?
  [[ $code != 0 && $ON_ERROR != fail ]] || return 0
  rm -rf "$UNPACKED" || true
  say "the init script ended too early ($code); the cluster starts, since onError is warn" >&2
  [[ -e $HOME_FOLDER/current ]] || leave_word "the init script ended too early ($code)"
  exit 0
}

# With nothing of ours in service, no Python of ours can tell that runs do not go to Azure ML: IPython does,
# in the first cell with MLflow.
leave_word() {
  mkdir -p "$HOME_FOLDER" || return 0
  [[ -d ${NOTICE%/*} ]] || : >"$HOME_FOLDER/made" || return 0
  mkdir -p "${NOTICE%/*}" || return 0
  printf '%s\n' "$1" >"$HOME_FOLDER/failure" || return 0
  cat >"$NOTICE" <<'PYTHON' || return 0
try:
    import sys

    def _tell(*_, _events=get_ipython().events):
        if "mlflow" in sys.modules:
            _events.unregister("post_run_cell", _tell)
            with open("/databricks/azureml-databricks/failure") as file:
                why = file.read().strip()
            told = "MLflow is not connected to Azure Machine Learning, and works as it would without:"
            print(told, why, file=sys.stderr)

    get_ipython().events.register("post_run_cell", _tell)
except Exception:
    pass
PYTHON
}

# Before anybody notes how things are without us.
take_word_back() {
  rm -rf "$NOTICE" "$HOME_FOLDER/failure"
  [[ -e $HOME_FOLDER/made ]] || return 0
  rmdir "${NOTICE%/*}" && rmdir "$ROOT/etc/ipython" || true
  rm -rf "$HOME_FOLDER/made"
} 2>/dev/null

# Sets ARCHIVE and SHA256: of the node's runtime, or else of the newest with the same Python. Where it was not
# tried on the node's release, it has to prove that it works here (KNOWN is false).
choose() {
  [[ -x $PYTHON ]] || give_up "$PYTHON is not there: this is no Databricks runtime that we know"
  local runtime python for_runtime for_python archive sha256 tried all="" tried_on=""
  python=$("$PYTHON" -I -S -c 'import sys; print("%d.%d" % sys.version_info[:2])') ||
    give_up "$PYTHON does not run"
  runtime=$(cat "$ROOT/databricks/DBR_VERSION" 2>/dev/null) || runtime=${DATABRICKS_RUNTIME_VERSION:-}
  [[ ! $runtime =~ ^[0-9]+\.[0-9]+ ]] || runtime=${BASH_REMATCH[0]}
  ARCHIVE=""
  KNOWN=false
  while read -r for_runtime for_python archive sha256 tried; do
    all+="${all:+, }$for_runtime (Python $for_python)"
    [[ $for_python == "$python" && -z $tried_on ]] || continue
    ARCHIVE=$archive SHA256=$sha256
    # From 18 on a runtime is a major version: a cluster has another release of it after a restart.
    [[ $for_runtime == "$runtime" || $for_runtime == "${runtime%%.*}" ]] || continue
    tried_on=$tried
    [[ ",$tried," != *",$runtime,"* ]] || KNOWN=true
  done <<<"$BUNDLES"
  [[ $KNOWN == false ]] || return 0
  if [[ -n $tried_on ]]; then
    say "note: this is runtime $runtime, and the bundle was tried on ${tried_on//,/, }: it is proven here first"
    return 0
  fi
  local here="runtime ${runtime:-unknown} (Python $python) has no bundle; there are those for $all"
  [[ -n $ARCHIVE ]] || give_up "$here: build one with the runtime's Python"
  say "$here; $ARCHIVE is tried"
}

# Copies the archive first: what is checked is what is unpacked, whoever writes to the location meanwhile.
check() {
  rm -rf "$UNPACKED" # of a killed run that had this number
  mkdir -p "$UNPACKED" || give_up "$UNPACKED cannot be made"
  [[ -r $FROM/$ARCHIVE ]] ||
    give_up "$FROM/$ARCHIVE cannot be read: upload it again, or let the cluster's user read it"
  cp "$FROM/$ARCHIVE" "$COPY" ||
    give_up "$FROM/$ARCHIVE cannot be copied to $COPY: is the disk full? else upload it again"
  local found
  found=$(sha256sum <"$COPY") || give_up "$COPY cannot be read"
  [[ ${found%% *} == "$SHA256" ]] ||
    give_up "$FROM/$ARCHIVE is not the archive this script was made with (SHA-256 ${found%% *}," \
      "expected $SHA256): upload both again"
  say "archive: $FROM/$ARCHIVE, SHA-256 as expected"
}

unpack() {
  TAR_OPTIONS="" tar -xzf "$COPY" -C "$UNPACKED" --no-same-owner ||
    give_up "$FROM/$ARCHIVE cannot be unpacked to $UNPACKED: is the disk full?"
  rm "$COPY"
  say "unpacked"
}

hand_over() {
  local options=(--sha256 "$SHA256")
  [[ -z $SETTINGS ]] || options+=(--settings "$FROM/$SETTINGS")
  [[ $KNOWN == true ]] || options+=(--prove)
  cd "$UNPACKED"
  take_word_back || true
  local code=0
  "$PYTHON" -E -s -m azureml_databricks node install "$UNPACKED" "${options[@]}" || code=$?
  case $code in
    0 | "$WRONG_SETTING") ;;
    *) give_up "the bundle cannot be put into service: /databricks/init_scripts/*.stderr.log says why" ;;
  esac
  [[ $code == 0 || $ON_ERROR != fail ]] || give_up "a setting is wrong"
  [[ $code == 0 ]] || say "the cluster starts, and MLflow will say the same, since onError is warn" >&2
}

main() {
  trap on_exit EXIT
  trap 'exit 143' HUP INT TERM
  trap '' PIPE
  # Unprivileged users read what root installs.
  umask 022
  if [[ ${AZUREML_ENABLED:-true} == false ]]; then
    say "AZUREML_ENABLED is false: nothing to do"
    return
  fi
  choose
  check
  unpack
  hand_over
}

main
