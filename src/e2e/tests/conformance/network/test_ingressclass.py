"""IngressClass as an API."""

from support import all_operations, conforms


@conforms("[sig-network] IngressClass API should support creating IngressClass API operations")
def test_operations(cluster):
    all_operations(cluster, "networking.k8s.io/v1", "ingressclasses", {"spec": {"controller": "example.com/controller"}})
