#!/bin/sh
# The network of a built kind cluster. kind's own (kindnetd) is in no package registry; this does
# what the lab needs of it: pod addresses from the node's range, a route to every other node's.
# No network policies, no IPv6. It is started by kind's own manifest, which gives HOST_IP and
# POD_SUBNET; nodes are asked again and again, since they may come later.
set -u
secret=/var/run/secrets/kubernetes.io/serviceaccount
server="https://${CONTROL_PLANE_ENDPOINT:-$KUBERNETES_SERVICE_HOST:$KUBERNETES_SERVICE_PORT}"
written=

nodes() { # one line for each: address, pod range
  HOME=/tmp kubectl --server="$server" --certificate-authority=$secret/ca.crt --token="$(cat $secret/token)" \
    get nodes -o jsonpath='{range .items[*]}{.status.addresses[?(@.type=="InternalIP")].address} {.spec.podCIDR}{"\n"}{end}'
}

configure() { # written beside and moved: containerd reads the folder whenever it changes
  cat > /etc/cni/net.d/.lab <<JSON
{"cniVersion": "0.4.0", "name": "kindnet", "plugins": [
  {"type": "ptp", "ipMasq": false, "ipam": {"type": "host-local", "dataDir": "/run/cni-ipam-state",
   "routes": [{"dst": "0.0.0.0/0"}], "ranges": [[{"subnet": "$1"}]]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
JSON
  mv /etc/cni/net.d/.lab /etc/cni/net.d/10-kindnet.conflist
}

while :; do
  if known=$(nodes); then
    while read -r address range; do
      [ -n "$range" ] || continue
      if [ "$address" != "$HOST_IP" ]; then
        ip route replace "$range" via "$address"
      elif [ "$written" != "$range" ]; then
        configure "$range" && written=$range
      fi
    done <<LINES
$known
LINES
    set -- POSTROUTING -s "$POD_SUBNET" ! -d "$POD_SUBNET" -m addrtype ! --dst-type LOCAL -j MASQUERADE
    iptables -w -t nat -C "$@" 2>/dev/null || iptables -w -t nat -A "$@"
  fi
  [ -n "$written" ] && sleep 5 || sleep 0.5
done
