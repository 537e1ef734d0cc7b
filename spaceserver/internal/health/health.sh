# What a machine policy's script may call (docs: infrastructure/deployment-targets/machine-policies, "Set the status").
echo_warning() { write_warning "$1"; }
echo_error() { printf '##octopus[stdout-error]\n%s\n##octopus[stdout-default]\n' "$1"; }
fail_healthcheck() { fail_step "$1"; }

for needed in base64 cat df grep ls mkdir rm tar; do
  command -v "$needed" >/dev/null || fail_healthcheck "The machine has no '$needed', which deployments need."
done
system=$(uname -sr)
if [ -r /etc/os-release ]; then system=$(. /etc/os-release && echo "${PRETTY_NAME:-$system}"); fi
set_octopusvariable OperatingSystem "$system"
set_octopusvariable ShellName Bash
set_octopusvariable ShellVersion "$BASH_VERSION"
set_octopusvariable Architecture "$(uname -m)"
write_verbose "Operating system: $system"
free=$(df -Pk "$HOME" 2>/dev/null | awk 'NR == 2 { print $4 }')
if [ "${free:-0}" -gt 0 ] && [ "$free" -lt 102400 ]; then
  echo_warning "The disk of $HOME has only $((free / 1024)) MB left."
fi
