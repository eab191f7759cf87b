# `. harness/python.sh` gives
#   $cache         a folder that is kept between runs, for what is installed
#   python FILE    a virtual environment with what that list of packages names, made once; its path is in $venv
# What installers say goes to the file that $install_log names.
cache="${XDG_CACHE_HOME:-$HOME/.cache}/headwater/compat"
mkdir -p "$cache"

python() {
    venv="$cache/python-$(sha256sum "$1" | cut -c1-16)"
    [ -e "$venv/ready" ] && return 0
    rm -rf "$venv"
    { python3 -m venv "$venv" && "$venv/bin/pip" install -q -r "$1"; } >>"${install_log:-/dev/stderr}" 2>&1 </dev/null && touch "$venv/ready"
}
