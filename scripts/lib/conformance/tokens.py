"""tokens.py KUBECTL: gives each new ServiceAccount a Secret with a token, as clusters did before 1.24: upstream's test framework
of 1.20 begins no test without one."""

import base64
import http.client
import json
import ssl
import subprocess
import sys
import tempfile
import threading
import time

OF_THE_CLUSTER = ("kube-system", "kube-public", "kube-node-lease", "default")
PATIENCE_SECONDS = 20


class Api:
    def __init__(self, kubectl):
        # a kubeconfig is YAML; kubectl makes JSON of it
        command = [kubectl, "config", "view", "--raw", "--minify", "-o", "json"]
        config = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        self.host = cluster["server"].removeprefix("https://")
        self.tls = ssl.create_default_context(cafile=in_file(cluster, "certificate-authority"))
        self.tls.load_cert_chain(in_file(user, "client-certificate"), in_file(user, "client-key"))

    def ask(self, method, path, body=None, media="application/json", patience=PATIENCE_SECONDS):
        connection = http.client.HTTPSConnection(self.host, context=self.tls, timeout=patience)
        connection.request(method, path, body and json.dumps(body), {"Content-Type": media})
        return connection.getresponse()

    def give_token(self, account):
        namespace, name = account["metadata"]["namespace"], account["metadata"]["name"]
        secret = {
            "metadata": {"name": f"{name}-token", "annotations": {"kubernetes.io/service-account.name": name}},
            "type": "kubernetes.io/service-account-token",
        }
        at = f"/api/v1/namespaces/{namespace}"
        self.ask("POST", f"{at}/secrets", secret).read()
        named = {"secrets": [{"name": f"{name}-token"}]}
        self.ask("PATCH", f"{at}/serviceaccounts/{name}", named, "application/merge-patch+json").read()


def in_file(where, field):
    """The path of what the kubeconfig names by one, or has itself."""
    if field in where:
        return where[field]
    with tempfile.NamedTemporaryFile(delete=False) as file:
        file.write(base64.b64decode(where[f"{field}-data"]))
        return file.name


def main():
    api = Api(sys.argv[1])
    while True:
        try:
            for line in api.ask("GET", "/api/v1/serviceaccounts?watch=true", patience=None):
                event = json.loads(line)
                account = event["object"]
                if event["type"] == "ADDED" and account["metadata"]["namespace"] not in OF_THE_CLUSTER:
                    threading.Thread(target=api.give_token, args=(account,)).start()
        except (OSError, http.client.HTTPException, ValueError, KeyError) as failure:
            print(repr(failure), flush=True)
        time.sleep(1)


main()
