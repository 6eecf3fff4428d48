#!/usr/bin/env bash
# The nas command: finds a JDK, builds the program on first use and runs it. Try: ./nas --help
set -eu

self=$0
while [ -L "$self" ]; do
  link=$(readlink "$self")
  case $link in
    /*) self=$link ;;
    *) self=$(dirname "$self")/$link ;;
  esac
done
NAS_HOME=$(cd "$(dirname "$self")" && pwd -P)
export NAS_HOME

least=25
jar=$NAS_HOME/nas-cli/target/nas.jar

fail() {
  echo "nas: $1" >&2
  exit 1
}

# What the libraries below do with native code is meant; the flags spare the JVM's warnings.
java_flags="--enable-native-access=ALL-UNNAMED --sun-misc-unsafe-memory-access=allow"

# The major version of the Java installation in folder $1, or 0.
java_version() {
  if [ ! -x "$1/bin/java" ]; then
    echo 0
    return
  fi
  version=
  if [ -r "$1/release" ]; then
    version=$(sed -n 's/^JAVA_VERSION="\([0-9]*\).*/\1/p' "$1/release")
  fi
  if [ -z "$version" ]; then
    version=$("$1/bin/java" -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p' | head -n 1)
  fi
  echo "${version:-0}"
}

# The folder of the installation that program $1 belongs to.
java_folder() {
  program=$1
  while [ -L "$program" ]; do
    link=$(readlink "$program")
    case $link in
      /*) program=$link ;;
      *) program=$(dirname "$program")/$link ;;
    esac
  done
  dirname "$(dirname "$program")"
}

find_java() {
  if [ -n "${JAVA_HOME:-}" ] && [ "$(java_version "$JAVA_HOME")" -ge "$least" ]; then
    echo "$JAVA_HOME"
    return
  fi
  if command -v java >/dev/null 2>&1; then
    folder=$(java_folder "$(command -v java)")
    if [ "$(java_version "$folder")" -ge "$least" ]; then
      echo "$folder"
      return
    fi
  fi
  for folder in /usr/lib/jvm/* /usr/java/* /opt/java/* /opt/jdk* \
    "$HOME"/.sdkman/candidates/java/* "$HOME"/.jdks/* \
    "$HOME"/.local/share/mise/installs/java/* "$HOME"/.asdf/installs/java/* \
    /Library/Java/JavaVirtualMachines/*/Contents/Home \
    "$HOME"/Library/Java/JavaVirtualMachines/*/Contents/Home; do
    if [ -d "$folder" ] && [ "$(java_version "$folder")" -ge "$least" ]; then
      echo "$folder"
      return
    fi
  done
}

# Whether a source file is newer than the program.
outdated() {
  [ -n "$(find "$NAS_HOME"/pom.xml "$NAS_HOME"/nas-*/pom.xml "$NAS_HOME"/nas-*/src/main \
    "$NAS_HOME"/include "$NAS_HOME"/common "$NAS_HOME"/cpu -type f -newer "$jar" 2>/dev/null | head -n 1)" ]
}

build() {
  [ -x "$java_home/bin/javac" ] ||
    fail "$java_home has no compiler: install a full JDK $least or later (for example from https://adoptium.net)"
  command -v mvn >/dev/null 2>&1 ||
    fail "Maven is needed to build the program: install Maven 3.8 or later (for example: apt install maven)"
  echo "nas: building the program ($1); this takes a minute or two, longer when Maven has to download" >&2
  (cd "$NAS_HOME" && JAVA_HOME=$java_home MAVEN_OPTS="${MAVEN_OPTS:-} $java_flags" \
    mvn -q -B -DskipTests -Dformat=skip -pl nas-cli -am package) >&2 ||
    fail "the build failed; the messages above say why, and 'mvn verify' in $NAS_HOME repeats it"
  touch "$jar"
}

java_home=$(find_java)
[ -n "$java_home" ] ||
  fail "Java $least or later is needed: install a JDK (for example from https://adoptium.net) and set JAVA_HOME to its folder"

if [ ! -f "$jar" ]; then
  build "first use"
elif outdated; then
  build "sources have changed"
fi

# LibTorch's OpenMP threads and OpenBLAS's own would otherwise spin against each other.
export OMP_WAIT_POLICY="${OMP_WAIT_POLICY:-PASSIVE}"
export OPENBLAS_THREAD_TIMEOUT="${OPENBLAS_THREAD_TIMEOUT:-4}"

# shellcheck disable=SC2086
exec "$java_home/bin/java" -Xmx2g $java_flags ${NAS_JAVA_OPTS:-} -jar "$jar" "$@"
