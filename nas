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
# What this was started by, for commands that the program suggests.
export NAS_COMMAND="$0"

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

# Folder of the CUDA library of an earlier build.
cuda_library=$NAS_HOME/nas-native/target/native-cuda

# Whether a source file is newer than the program. Those of CUDA count where there is a library of them.
outdated() (
  cd "$NAS_HOME"
  sources="pom.xml include common cpu"
  for module in nas-*; do
    case $module in
      nas-bench | nas-bom) ;;
      *) sources="$sources $module/pom.xml $module/src/main" ;;
    esac
  done
  if [ -d "$cuda_library" ]; then
    sources="$sources cuda"
  fi
  # shellcheck disable=SC2086
  [ -n "$(find $sources -type f -newer "$jar" 2>/dev/null | head -n 1)" ]
)

# Whether the program was built with LibTorch for GPUs, by -Pgpu: its manifest then names that.
built_for_gpu() {
  [ -f "$jar" ] || return 1
  unpacked=$(mktemp -d)
  (cd "$unpacked" && "$java_home/bin/jar" -xf "$jar" META-INF/MANIFEST.MF) || true
  # A manifest's lines are broken after 72 bytes, anywhere.
  names=$(tr -d '\r\n' <"$unpacked/META-INF/MANIFEST.MF" 2>/dev/null | tr -d ' ')
  rm -rf "$unpacked"
  case $names in
    *-gpu.jar*) return 0 ;;
    *) return 1 ;;
  esac
}

build() {
  [ -x "$java_home/bin/javac" ] ||
    fail "$java_home has no compiler: install a full JDK $least or later (for example from https://adoptium.net)"
  command -v mvn >/dev/null 2>&1 ||
    fail "Maven is needed to build the program: install Maven 3.8 or later (for example: apt install maven)"
  # The command needs the CPU's kernels alone, and nvcc would take minutes. What was built for a GPU
  # before is built so again: where that has become impossible the build fails rather than lose it.
  cuda=OFF profile='' hint=''
  if built_for_gpu; then
    cuda=ON profile=-Pgpu
  elif [ -d "$cuda_library" ]; then
    cuda=ON hint=" (NAS_CUDA=OFF in the environment builds without the CUDA kernels)"
  fi
  cuda=${NAS_CUDA:-$cuda}
  echo "nas: building the program ($1); this takes a minute or two, longer when Maven has to download" >&2
  if [ "$cuda" != OFF ]; then
    echo "nas: CUDA kernels too, as before or asked for (NAS_CUDA=$cuda${profile:+, profile gpu})" >&2
  fi
  # shellcheck disable=SC2086
  (cd "$NAS_HOME" && JAVA_HOME=$java_home NAS_CUDA=$cuda MAVEN_OPTS="${MAVEN_OPTS:-} $java_flags" \
    mvn -q -B -DskipTests -Dformat=skip $profile -pl nas-cli -am package) >&2 ||
    fail "the build failed; the messages above say why$hint, and 'mvn verify' in $NAS_HOME repeats it"
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

# The machine's memory in MiB, or the container's where that is less: what cgroups (2 or 1) allow to
# this process's group and to those above it.
memory() {
  kibibytes=$(sed -n 's/^MemTotal: *\([0-9]*\) kB$/\1/p' /proc/meminfo 2>/dev/null) || true
  kibibytes=${kibibytes:-8388608}
  [ -r /proc/self/cgroup ] || { echo $((kibibytes / 1024)) && return; }
  while IFS=: read -r _ controllers group; do
    case ,$controllers, in
      ,,) root=/sys/fs/cgroup limit=memory.max ;;
      *,memory,*) root=/sys/fs/cgroup/memory limit=memory.limit_in_bytes ;;
      *) continue ;;
    esac
    group=${group%/}
    while :; do
      bytes=max
      if [ -r "$root$group/$limit" ]; then read -r bytes <"$root$group/$limit" || true; fi
      case $bytes in
        '' | *[!0-9]*) ;;
        *) [ $((bytes / 1024)) -ge "$kibibytes" ] || kibibytes=$((bytes / 1024)) ;;
      esac
      [ -n "$group" ] || break
      group=${group%/*}
    done
  done </proc/self/cgroup
  echo $((kibibytes / 1024))
}

# A quarter of it for Java's heap, and no more than Java has a use for: LibTorch's memory, where model
# and batch are, lies outside the heap. The serial collector fills the least of it with garbage, and
# takes no processor from LibTorch's threads.
memory=$(memory)
heap=$((memory / 4))
if [ "$heap" -gt 2048 ]; then heap=2048; fi
if [ "$heap" -lt 256 ]; then heap=256; fi
# Batches made in advance are megabytes each: they outlive a small young generation, and would fill the
# heap as garbage up to its limit.
young=$((heap / 4))
if [ "$young" -gt 256 ]; then young=256; fi
collector="-XX:+UseSerialGC -XX:NewSize=${young}m"
case ${NAS_JAVA_OPTS:-} in
  *-XX:+Use*GC*) collector='' ;;
  *-Xm[nx]* | *NewSize* | *MaxHeapSize*) collector=-XX:+UseSerialGC ;;
esac

# JavaCPP ends a run with an error that takes more than this; by itself at four times the heap.
resident="-Dorg.bytedeco.javacpp.maxPhysicalBytes=${memory}m"

# LibTorch's OpenMP threads and OpenBLAS's own would otherwise spin against each other.
export OMP_WAIT_POLICY="${OMP_WAIT_POLICY:-PASSIVE}"
export OPENBLAS_THREAD_TIMEOUT="${OPENBLAS_THREAD_TIMEOUT:-4}"

# shellcheck disable=SC2086
exec "$java_home/bin/java" -Xmx${heap}m $collector $resident $java_flags ${NAS_JAVA_OPTS:-} -jar "$jar" "$@"
