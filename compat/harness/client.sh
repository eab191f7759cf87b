# What every client's script begins with: `. ../harness/client.sh NAME`. Gives it
#   $cache and python   as harness/python.sh says
#   $WORK    a folder for this run, with the broker's files; both are gone at the end
#   skip     this client cannot be tried here, and why
#   installed COMMAND…   runs the command with its output in $WORK/install.log
#   serve    starts the broker and exports ADDRESS
# The client's program is given BROKER (`$BROKER restart`, `$BROKER kill`) and prints `ok FEATURE` or `FAILED FEATURE: why` for each check.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[1]}")"
harness=$(cd ../harness && pwd)
. "$harness/python.sh"
WORK=$(mktemp -d)
install_log="$WORK/install.log"
BROKER="$harness/broker"
export WORK BROKER PYTHONPATH="$harness" PYTHONDONTWRITEBYTECODE=1
# Apache Kafka's jars; `AGAINST=kafka` needs them.
export KAFKA_JARS="$cache/java-$(sha256sum "$harness/pom.xml" | cut -c1-16)"

ended() {
    "$BROKER" stop || true
    if [ -n "${KEEP:-}" ]; then echo "kept: $WORK" >&2; else rm -rf "$WORK"; fi
}
trap ended EXIT

skip() {
    echo "SKIPPED $1"
    exit 0
}

installed() {
    "$@" >>"$install_log" 2>&1 </dev/null
}

serve() {
    ADDRESS=$("$BROKER" start)
    export ADDRESS
}

# java_jars: Kafka's jars and all that they need, fetched once into $KAFKA_JARS.
java_jars() {
    [ -e "$KAFKA_JARS/ready" ] && return 0
    rm -rf "$KAFKA_JARS"
    command -v javac >/dev/null && command -v mvn >/dev/null &&
        installed mvn -q -B -f "$harness/pom.xml" dependency:copy-dependencies -DoutputDirectory="$KAFKA_JARS" && touch "$KAFKA_JARS/ready"
}

# java_program FOLDER: compiles what is in it; the class path is $classpath.
java_program() {
    classpath="$KAFKA_JARS/*:$WORK/classes"
    installed javac -nowarn -cp "$KAFKA_JARS/*" -d "$WORK/classes" "$1"/*.java
}

# Small and soon ended: the compiler that optimizes never pays.
java=(java -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Dlog4j2.level=ERROR)

# go_program: builds the program of this folder, with the trial beside it; it is $program.
go_program() {
    program="$WORK/program"
    command -v go >/dev/null && cp ./*.go go.mod go.sum "$harness/trial.go" "$WORK" &&
        (cd "$WORK" && installed env GOFLAGS=-mod=mod GOTOOLCHAIN=local go build -o program .)
}
