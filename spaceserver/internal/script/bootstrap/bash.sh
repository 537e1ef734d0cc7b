# What scripts may call (docs: deployments/custom-scripts). Variables arrive behind this text.
__octopus_encode() { printf '%s' "$1" | base64 | tr -d '\r\n'; }
__octopus_as() { printf '##octopus[stdout-%s]\n%s\n##octopus[stdout-default]\n' "$1" "$2"; }

set_octopusvariable() {
  local sensitive=""
  if [ "${3:-}" = "-sensitive" ]; then sensitive=" sensitive='$(__octopus_encode True)'"; fi
  echo "##octopus[setVariable name='$(__octopus_encode "${1:-}")' value='$(__octopus_encode "${2:-}")'$sensitive]"
}

new_octopusartifact() {
  if [ ! -f "${1:-}" ]; then
    echo "There is no file '${1:-}' to keep as an artifact." >&2
    return 1
  fi
  local folder path name
  folder=$(cd "$(dirname "$1")" && pwd -P) || return 1
  path="${folder%/}/$(basename "$1")"
  name="${2:-$(basename "$path")}"
  __octopus_as verbose "Artifact $name will be collected from $path after this step completes"
  echo "##octopus[createArtifact path='$(__octopus_encode "$path")' name='$(__octopus_encode "$name")' length='$(__octopus_encode "$(wc -c <"$path" | tr -d ' ')")']"
}

update_progress() { echo "##octopus[progress percentage='$(__octopus_encode "${1:-0}")' message='$(__octopus_encode "${2:-}")']"; }
write_verbose() { __octopus_as verbose "${1:-}"; }
write_highlight() { __octopus_as highlight "${1:-}"; }
write_wait() { __octopus_as wait "${1:-}"; }
write_warning() { __octopus_as warning "${1:-}"; }

fail_step() {
  if [ -n "${1:-}" ]; then echo "##octopus[resultMessage message='$(__octopus_encode "$1")']"; fi
  exit 1
}

remove_octopustarget() { echo "##octopus[delete-target machine='$(__octopus_encode "${1:-}")']"; }
