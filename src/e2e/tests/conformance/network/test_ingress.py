"""Ingress as an API."""

from support import all_operations, conforms

GROUP = "networking.k8s.io/v1"


@conforms("[sig-network] Ingress API should support creating Ingress API operations")
def test_operations(ns, cluster):
    backend = {"service": {"name": "none", "port": {"number": 80}}}
    path = {"path": "/", "pathType": "ImplementationSpecific", "backend": backend}
    # of a class that nobody serves: nobody else writes its status
    spec = {"ingressClassName": "nobody", "defaultBackend": backend, "rules": [{"host": "a.example.com", "http": {"paths": [path]}}]}
    status = {"loadBalancer": {"ingress": [{"ip": "169.1.1.1"}]}}
    all_operations(cluster, GROUP, "ingresses", {"spec": spec}, ns.name, status=status)
