# Shared by the scripts of this folder; source it, do not run it.
# shellcheck shell=bash
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

KAFKA_OPS=$COUNTERFOIL_ROOT/ops/kafka
KAFKA_VERSION=$(sed -n 's:.*<kafka>\(.*\)</kafka>.*:\1:p' "$KAFKA_OPS/pom.xml")
KAFKA_CACHE=${XDG_CACHE_HOME:-${HOME:?}/.cache}/counterfoil/kafka-$KAFKA_VERSION
KAFKA_JARS=$KAFKA_CACHE/jars
KAFKA_JAVA=${JAVA_HOME:+$JAVA_HOME/bin/}java
# What is missing on this machine and cannot be had ends a script with this status, so that tests can tell it from a failure.
# shellcheck disable=SC2034
KAFKA_ABSENT=3

absent() {
  say "${0##*/}: $*"
  exit "$KAFKA_ABSENT"
}

needJava() {
  local version
  version=$("$KAFKA_JAVA" -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p' | head -n 1 || true)
  [[ -n $version ]] || absent "there is no java; install it with ops/deps --kafka (package openjdk-17-jre-headless)"
  ((version >= 17)) || absent "Kafka $KAFKA_VERSION takes Java 17 or later, this is $version; ops/deps --kafka, or set JAVA_HOME"
}

# The folder holds the jars of the list, as they are there, and no other.
jarsAreWhole() {
  [[ -d $1 ]] && (cd "$1" && sha256sum --quiet --strict --check "$KAFKA_OPS/jars.sha256" >/dev/null 2>&1) &&
    [[ $(find "$1" -mindepth 1 | wc -l) == "$(wc -l <"$KAFKA_OPS/jars.sha256")" ]]
}

# Fetches the jars once; afterwards no network is needed.
needJars() {
  local fresh
  jarsAreWhole "$KAFKA_JARS" && return 0
  command -v mvn >/dev/null 2>&1 ||
    absent "the jars of Kafka $KAFKA_VERSION are not in $KAFKA_JARS, and there is no mvn to fetch them; install it with ops/deps --kafka (package maven)"
  mkdir -p "$KAFKA_CACHE"
  (
    flock 9
    ! jarsAreWhole "$KAFKA_JARS" || exit 0 # another start fetched them meanwhile
    say "${0##*/}: fetching the jars of Kafka $KAFKA_VERSION with Maven, once"
    fresh=$KAFKA_CACHE/fresh.$$
    rm -rf "$fresh"
    mvn -B -ntp -q -f "$KAFKA_OPS/pom.xml" org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies \
      -DincludeScope=runtime -DoutputDirectory="$fresh" </dev/null >&2 9>&- || {
      rm -rf "$fresh"
      absent "Maven could not fetch the jars of Kafka $KAFKA_VERSION; see above"
    }
    jarsAreWhole "$fresh" || die "the jars in $fresh are not those of ops/kafka/jars.sha256"
    rm -rf "$KAFKA_JARS"
    mv "$fresh" "$KAFKA_JARS"
  ) 9>"$KAFKA_CACHE/lock"
}

# Sets KAFKA_ADMIN to the program that asks brokers; builds it if it is not there or older than its sources. COUNTERFOIL_KAFKA_ADMIN: use that one.
needAdmin() {
  KAFKA_ADMIN=${COUNTERFOIL_KAFKA_ADMIN:-$COUNTERFOIL_ROOT/build/release/bin/kafka_admin}
  if [[ -n ${COUNTERFOIL_KAFKA_ADMIN:-} ]]; then
    [[ -x $KAFKA_ADMIN ]] || die "there is no program $KAFKA_ADMIN"
    return 0
  fi
  [[ ! -x $KAFKA_ADMIN || -n $(find "$KAFKA_OPS/admin" -newer "$KAFKA_ADMIN" -name '*.[ch]*' -print -quit) ]] || return 0
  mkdir -p "$COUNTERFOIL_ROOT/build"
  (
    flock 9 # two builds in one folder would spoil each other
    needPackages
    configurePreset release
    buildPreset release kafka_admin
  ) 9>"$COUNTERFOIL_ROOT/build/kafka_admin.lock"
}
