# Shared by the scripts of this folder; source it, do not run it.
# shellcheck shell=bash

COUNTERFOIL_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)

# What building and running takes, and what testing takes on top. `package:command` is present when the command is, wherever it came from.
COUNTERFOIL_PACKAGES=(
  g++:g++ cmake:cmake ninja-build:ninja ccache:ccache pkg-config:pkg-config capnproto:capnp libcapnp-dev libspdlog-dev libsqlite3-dev
  libssl-dev libcli11-dev libtomlplusplus-dev libbenchmark-dev libgtest-dev libgmock-dev zlib1g-dev libboost-json1.81-dev
  libboost-container1.81-dev libboost1.81-dev libcjose-dev libjansson-dev prometheus-cpp-dev
  libcurl4-openssl-dev libmimalloc-dev librdkafka-dev
)
# shellcheck disable=SC2034  # the scripts that source this use them
COUNTERFOIL_TEST_PACKAGES=(git:git jq:jq curl:curl openssl:openssl)
# shellcheck disable=SC2034
COUNTERFOIL_DEV_PACKAGES=(
  sqlite3:sqlite3 strace:strace python3:python3 python3-venv python3-yaml nodejs:node npm:npm clang-14:clang++-14 libclang-rt-14-dev clang-format-14:clang-format-14
  clang-tidy-14:clang-tidy-14
)
# A broker of ops/kafka, and a client that is not ours.
# shellcheck disable=SC2034
COUNTERFOIL_KAFKA_PACKAGES=(openjdk-17-jre-headless:java maven:mvn kcat:kcat openssl:openssl)
# Optional: what single rows of ops/kafka/faults break a cluster with. Without one, its rows say so and count as not run.
# shellcheck disable=SC2034
COUNTERFOIL_FAULT_PACKAGES=(nftables faketime iproute2)
COUNTERFOIL_PRESETS=(release debug asan-ubsan tsan fuzz)

# Messages go to standard error: standard output belongs to the script's result.
say() { printf '%s\n' "$*" >&2; }
die() {
  say "${0##*/}: $*"
  exit 1
}

# Prints, one a line, the packages among `package[:command]...` that are missing. One dpkg call, so it costs some milliseconds.
missingPackages() {
  local item installed='' libraries=() missing=()
  for item in "$@"; do
    if [[ $item == *:* ]]; then
      command -v "${item#*:}" >/dev/null 2>&1 || missing+=("${item%%:*}")
    else
      libraries+=("$item")
    fi
  done
  if ((${#libraries[@]})) && command -v dpkg-query >/dev/null 2>&1; then
    # dpkg-query fails when one is unknown to it; what it printed about the others still counts.
    installed=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' "${libraries[@]}" 2>/dev/null || true)
    for item in "${libraries[@]}"; do
      [[ $'\n'$installed$'\n' == *$'\n'"$item installed"$'\n'* ]] || missing+=("$item")
    done
  fi
  ((${#missing[@]} == 0)) || printf '%s\n' "${missing[@]}"
}

# Installs what building needs if something is missing.
needPackages() {
  [[ -z $(missingPackages "${COUNTERFOIL_PACKAGES[@]}") ]] || "$COUNTERFOIL_ROOT/ops/deps" >&2
}

# configurePreset PRESET [CMAKE ARGUMENTS...]: makes build/PRESET unless it is there; CMake itself notices changed lists afterwards.
configurePreset() {
  local preset=$1 folder=$COUNTERFOIL_ROOT/build/$1 extra=() known=''
  shift
  [[ " ${COUNTERFOIL_PRESETS[*]} " == *" $preset "* ]] || die "no preset '$preset'; there are: ${COUNTERFOIL_PRESETS[*]}"
  if [[ -f $folder/CMakeCache.txt ]]; then
    known=$(sed -n 's/^CMAKE_HOME_DIRECTORY:INTERNAL=//p' "$folder/CMakeCache.txt")
    if [[ $known != "$COUNTERFOIL_ROOT" || ! -f $folder/build.ninja ]]; then
      extra+=(--fresh) # the tree was moved or copied, or configuring never succeeded: nothing remembered is worth keeping
    elif (($# == 0)) && [[ ! $COUNTERFOIL_ROOT/CMakePresets.json -nt $folder/CMakeCache.txt ]]; then
      return 0
    fi
  fi
  # Warnings stop the build with the one compiler they are kept clean for; a newer one must not stop anybody's build.
  if [[ ($preset == release || $preset == debug) && $(g++ -dumpversion 2>/dev/null) == 12* ]]; then
    extra+=(-DCOUNTERFOIL_WERROR=ON)
  fi
  (cd "$COUNTERFOIL_ROOT" && cmake --preset "$preset" "${extra[@]}" "$@") >&2
}

# buildPreset PRESET [TARGET...]: builds the targets (all when none is named) of a configured preset.
buildPreset() {
  local preset=$1
  shift
  cmake --build "$COUNTERFOIL_ROOT/build/$preset" --parallel "$(nproc)" ${1:+--target "$@"} >&2
}
