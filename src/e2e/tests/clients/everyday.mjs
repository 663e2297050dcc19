// What people do every day with @kubernetes/client-node, on the cluster of KUBECONFIG, which has the image busybox:1.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough, Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";

// the directory that has the package is not above this file
const { resolve } = createRequire(`${process.env.MONOPOD_NODE_CLIENT}/`);
const k8s = await import(pathToFileURL(resolve("@kubernetes/client-node")));

// long enough for a loaded machine; nothing is measured by it
const PATIENCE = 120_000;
const SERVER = "echo hello > /tmp/index.html; exec httpd -f -p 8080 -h /tmp";

const config = new k8s.KubeConfig();
config.loadFromDefault();
const core = config.makeApiClient(k8s.CoreV1Api);
const apps = config.makeApiClient(k8s.AppsV1Api);
const batch = config.makeApiClient(k8s.BatchV1Api);
const extensions = config.makeApiClient(k8s.ApiextensionsV1Api);
const custom = config.makeApiClient(k8s.CustomObjectsApi);
const leases = config.makeApiClient(k8s.CoordinationV1Api);
const objects = k8s.KubernetesObjectApi.makeApiClient(config);

const as = (strategy) => k8s.setHeaderOptions("Content-Type", k8s.PatchStrategy[strategy]);
const name = (of) => `${of}-${randomBytes(4).toString("hex")}`;

/** Looks again until it sees something, and returns that. */
async function until(look, what) {
    const end = Date.now() + PATIENCE;
    for (;;) {
        const seen = await look();
        if (seen) return seen;
        assert(Date.now() < end, `never: ${what}`);
        await sleep(50);
    }
}

/** Waits for it no longer than anything takes. */
function inTime(promise, what) {
    const late = sleep(PATIENCE, undefined, { ref: false }).then(() => assert.fail(`never: ${what}`));
    return Promise.race([promise, late]);
}

/** The server must refuse it so; returns the Status that it answers with. */
async function refused(code, reason, request) {
    const error = await request.then(
        () => assert.fail(`was not refused with ${code}`),
        (error) => error,
    );
    assert(error instanceof k8s.ApiException, error);
    const status = typeof error.body === "string" ? JSON.parse(error.body) : error.body;
    assert.deepEqual([error.code, status.kind, status.code, status.reason], [code, "Status", code, reason], error);
    return status;
}

const gone = (read, what) => until(() => read().then(() => false, (error) => error.code === 404), `${what} is gone`);

async function pod(namespace, line, more = {}) {
    const container = { name: "main", image: "busybox:1", command: ["sh", "-c", line], ...more };
    const spec = { containers: [container], terminationGracePeriodSeconds: 0, restartPolicy: "Never" };
    const body = { metadata: { name: name("pod"), labels: { of: "checks" } }, spec };
    const made = await core.createNamespacedPod({ namespace, body });
    return made.metadata.name;
}

async function readyPod(namespace, line, more) {
    const made = await pod(namespace, line, more);
    await until(async () => condition(await core.readNamespacedPod({ name: made, namespace }), "Ready"), `${made} is ready`);
    return made;
}

const condition = (object, type) => object.status?.conditions?.some((each) => each.type === type && each.status === "True");

const remove = (namespace, pod) => core.deleteNamespacedPod({ name: pod, namespace, gracePeriodSeconds: 0 });

const MANIFEST = `
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  labels: {app: web, tier: front}
spec:
  replicas: 2
  selector:
    matchLabels: {app: web}
  template:
    metadata:
      labels: {app: web}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: web
        image: busybox:1
        command: ["sh", "-c", ${JSON.stringify(SERVER)}]
        ports: [{containerPort: 8080}]
        readinessProbe:
          httpGet: {path: /, port: 8080}
          periodSeconds: 1
---
apiVersion: v1
kind: Service
metadata:
  name: web
spec:
  selector: {app: web}
  ports: [{port: 80, targetPort: 8080}]
`;

const DEFINITION = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: hats.node.example.com
spec:
  group: node.example.com
  scope: Namespaced
  names: {kind: Hat, plural: hats, singular: hat}
  versions:
  - name: v1
    served: true
    storage: true
    subresources:
      status: {}
      scale: {specReplicasPath: .spec.size, statusReplicasPath: .status.size}
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            properties:
              size: {type: integer, minimum: 1}
              colour: {type: string, default: blue}
          status:
            type: object
            x-kubernetes-preserve-unknown-fields: true
`;

/** The Deployment and its Service, ready. */
async function web(namespace) {
    for (const object of k8s.loadAllYaml(MANIFEST)) {
        object.metadata.namespace = namespace;
        await objects.create(object);
    }
    return until(() => rolledOut(namespace), "all replicas are ready");
}

async function rolledOut(namespace) {
    const deployment = await apps.readNamespacedDeployment({ name: "web", namespace });
    const { replicas, readyReplicas, updatedReplicas, observedGeneration } = deployment.status;
    const wanted = deployment.spec.replicas;
    const done = observedGeneration >= deployment.metadata.generation && replicas === wanted;
    return done && readyReplicas === wanted && updatedReplicas === wanted && deployment;
}

async function podsOf(namespace, labelSelector) {
    const { items } = await core.listNamespacedPod({ namespace, labelSelector });
    return items.map((each) => each.metadata.name);
}

/** Runs a command in the pod; returns what it printed, and its exit code. */
async function run(namespace, pod, command, input = null) {
    const [stdout, stderr] = [new PassThrough(), new PassThrough()];
    const printed = Promise.all([text(stdout), text(stderr)]);
    const ended = new Promise((resolve, reject) => {
        const begun = new k8s.Exec(config).exec(namespace, pod, "main", command, stdout, stderr, input, false, resolve);
        begun.catch((event) => reject(event.error ?? event));
    });
    const status = await inTime(ended, `the end of ${command}`);
    const [out, err] = await printed;
    const cause = status.details?.causes?.find((each) => each.reason === "ExitCode");
    return { out, err, code: status.status === "Success" ? 0 : Number(cause?.message), status };
}

const checks = {
    async the_cluster_tells_about_itself() {
        assert(config.getCurrentCluster().server.startsWith("https://"));
        const version = await config.makeApiClient(k8s.VersionApi).getCode();
        assert.match(version.gitVersion, /^v1\.\d+\.\d+/);
        const health = new k8s.Health(config);
        assert.deepEqual([await health.readyz({}), await health.livez({})], [true, true]);
        const { items } = await core.listNode();
        assert.equal(items.length, 1);
        assert(condition(items[0], "Ready"));
        assert.equal(items[0].status.nodeInfo.kubeletVersion, version.gitVersion);
        assert(items[0].metadata.creationTimestamp instanceof Date);
        const { groups } = await config.makeApiClient(k8s.ApisApi).getAPIVersions();
        assert.equal(groups.find((each) => each.name === "apps").preferredVersion.groupVersion, "apps/v1");
        const { resources } = await apps.getAPIResources();
        assert.deepEqual(resources.find((each) => each.name === "deployments").shortNames, ["deploy"]);
        const review = { spec: { resourceAttributes: { verb: "delete", resource: "nodes" } } };
        const may = await config.makeApiClient(k8s.AuthorizationV1Api).createSelfSubjectAccessReview({ body: review });
        assert.equal(may.status.allowed, true);
        const { status } = await config.makeApiClient(k8s.AuthenticationV1Api).createSelfSubjectReview({ body: {} });
        assert(status.userInfo.groups.includes("system:authenticated"));
    },

    async another_user_may_less(namespace) {
        const body = { metadata: { name: "reader" } };
        await core.createNamespacedServiceAccount({ namespace, body });
        const rbac = config.makeApiClient(k8s.RbacAuthorizationV1Api);
        const rules = [{ apiGroups: [""], resources: ["configmaps"], verbs: ["get", "list"] }];
        await rbac.createNamespacedRole({ namespace, body: { ...body, rules } });
        const subjects = [{ kind: "ServiceAccount", name: "reader", namespace }];
        const roleRef = { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: "reader" };
        await rbac.createNamespacedRoleBinding({ namespace, body: { ...body, subjects, roleRef } });
        const request = { name: "reader", namespace, body: { spec: { audiences: [], expirationSeconds: 600 } } };
        const { status } = await core.createNamespacedServiceAccountToken(request);
        assert(status.expirationTimestamp > new Date());
        const theirs = new k8s.KubeConfig();
        const { caData, caFile, server } = config.getCurrentCluster();
        theirs.loadFromClusterAndUser({ name: "c", server, caData, caFile }, { name: "u", token: status.token });
        const reader = theirs.makeApiClient(k8s.CoreV1Api);
        // the role may take a moment to be known
        const list = () => reader.listNamespacedConfigMap({ namespace }).catch((error) => assert.equal(error.code, 403));
        assert((await until(list, "may list")).items.length >= 1);
        const forbidden = await refused(403, "Forbidden", reader.listNamespacedSecret({ namespace }));
        const user = `system:serviceaccount:${namespace}:reader`;
        const words = `secrets is forbidden: User "${user}" cannot list resource "secrets" in API group "" in the namespace "${namespace}"`;
        assert.equal(forbidden.message, words);
        theirs.loadFromClusterAndUser({ name: "c", server, caData, caFile }, { name: "u", token: "wrong" });
        // the library keeps no Status of this one
        await assert.rejects(theirs.makeApiClient(k8s.CoreV1Api).listNamespacedSecret({ namespace }), { code: 401 });
    },

    async a_deployment_from_a_manifest(namespace) {
        const made = await web(namespace);
        assert.equal(made.status.observedGeneration, 1);
        const by = async (labelSelector) => (await apps.listNamespacedDeployment({ namespace, labelSelector })).items.length;
        assert.deepEqual([await by("tier=front"), await by("tier in (front),app"), await by("tier!=front")], [1, 1, 0]);
        assert.equal((await podsOf(namespace, "app=web")).length, 2);
        const running = await core.listPodForAllNamespaces({ labelSelector: "app=web", fieldSelector: "status.phase=Running" });
        assert.equal(running.items.length, 2);

        const scale = await apps.readNamespacedDeploymentScale({ name: "web", namespace });
        assert.deepEqual([scale.spec.replicas, scale.status.selector], [2, "app=web"]);
        scale.spec.replicas = 3;
        await apps.replaceNamespacedDeploymentScale({ name: "web", namespace, body: scale });
        await until(() => rolledOut(namespace), "three are ready");
        assert.equal((await podsOf(namespace, "app=web")).length, 3);
        const one = { name: "web", namespace, body: { spec: { replicas: 1 } } };
        await apps.patchNamespacedDeploymentScale(one, as("MergePatch"));
        await until(async () => (await podsOf(namespace, "app=web")).length === 1, "one is left");

        // another environment: a rollout
        const [before] = await podsOf(namespace, "app=web");
        const container = { name: "web", env: [{ name: "A", value: "1" }] };
        const body = { spec: { template: { spec: { containers: [container] } } } };
        await apps.patchNamespacedDeployment({ name: "web", namespace, body }, as("StrategicMergePatch"));
        const after = await until(() => rolledOut(namespace), "the rollout");
        assert.equal(after.spec.template.spec.containers[0].image, "busybox:1");
        assert.equal(after.metadata.annotations["deployment.kubernetes.io/revision"], "2");
        await until(async () => !(await podsOf(namespace, "app=web")).includes(before), "the old pod is gone");

        const proxied = await core.connectGetNamespacedServiceProxyWithPath({ name: "web:80", namespace, path: "index.html" });
        assert.equal(proxied, "hello\n");

        await core.deleteNamespacedService({ name: "web", namespace });
        await apps.deleteNamespacedDeployment({ name: "web", namespace, propagationPolicy: "Foreground" });
        await gone(() => apps.readNamespacedDeployment({ name: "web", namespace }), "the deployment");
        assert.deepEqual(await podsOf(namespace, "app=web"), []);
        assert.equal((await apps.listNamespacedReplicaSet({ namespace })).items.length, 0);
    },

    async what_was_made_is_orphaned(namespace) {
        await web(namespace);
        await apps.deleteNamespacedDeployment({ name: "web", namespace, body: { propagationPolicy: "Orphan" } });
        await gone(() => apps.readNamespacedDeployment({ name: "web", namespace }), "the deployment");
        const { items } = await apps.listNamespacedReplicaSet({ namespace });
        assert.deepEqual(items.map((each) => each.metadata.ownerReferences ?? []), [[]]);
        assert.equal((await podsOf(namespace, "app=web")).length, 2);
        await apps.deleteCollectionNamespacedReplicaSet({ namespace, labelSelector: "app=web" });
        await until(async () => (await podsOf(namespace, "app=web")).length === 0, "the pods are collected");
        await core.deleteNamespacedService({ name: "web", namespace });
    },

    async watches(namespace) {
        const seen = [];
        const path = `/api/v1/namespaces/${namespace}/configmaps`;
        const { metadata } = await core.listNamespacedConfigMap({ namespace });
        const parameters = { resourceVersion: metadata.resourceVersion, labelSelector: "of=watch", allowWatchBookmarks: true };
        const controller = await new k8s.Watch(config).watch(
            path,
            parameters,
            (event, object) => event !== "BOOKMARK" && seen.push([event, object.metadata.name, object.data?.a]),
            () => {},
        );
        const make = (name, labels) => {
            const body = { metadata: { name, labels }, data: { a: "1" } };
            return core.createNamespacedConfigMap({ namespace, body });
        };
        await make("one", { of: "watch" });
        await make("not-selected", {});
        await make("other", { of: "watch" });
        await core.patchNamespacedConfigMap({ name: "one", namespace, body: { data: { a: "2" } } }, as("MergePatch"));
        // to a watch with a selector it is gone when it no longer matches
        const unlabelled = { metadata: { labels: { of: null } } };
        await core.patchNamespacedConfigMap({ name: "other", namespace, body: unlabelled }, as("MergePatch"));
        for (const each of ["one", "other", "not-selected"]) await core.deleteNamespacedConfigMap({ name: each, namespace });
        await until(() => seen.length >= 5, "its events");
        controller.abort();
        assert.deepEqual(seen, [
            ["ADDED", "one", "1"],
            ["ADDED", "other", "1"],
            ["MODIFIED", "one", "2"],
            ["DELETED", "other", "1"],
            ["DELETED", "one", "2"],
        ]);
        // it ends when it was asked to, and says so without an error
        const ended = new Promise((resolve) => {
            new k8s.Watch(config).watch(path, { timeoutSeconds: 1 }, () => {}, resolve);
        });
        assert.equal(await inTime(ended, "the end of the watch"), null);
        const wrong = new Promise((resolve) => {
            new k8s.Watch(config).watch(path, { labelSelector: "a in" }, () => {}, resolve);
        });
        assert.equal((await inTime(wrong, "the refusal")).statusCode, 400);
    },

    async an_informer_is_restarted(namespace) {
        const seen = [];
        let connected = 0;
        const list = () => core.listNamespacedConfigMap({ namespace, labelSelector: "of=informer" });
        // its watches end after a second each, and it goes on from where it was
        const path = `/api/v1/namespaces/${namespace}/configmaps?timeoutSeconds=1`;
        const informer = k8s.makeInformer(config, path, list, "of=informer");
        for (const event of [k8s.ADD, k8s.UPDATE, k8s.DELETE]) {
            informer.on(event, (object) => seen.push([event, object.metadata.name]));
        }
        informer.on(k8s.CONNECT, () => (connected += 1));
        // to be stopped is an error to it, too
        informer.on(k8s.ERROR, (error) => error.name === "AbortError" || seen.push(["error", error]));
        const make = (name) => {
            const body = { metadata: { name, labels: { of: "informer" } } };
            return core.createNamespacedConfigMap({ namespace, body });
        };
        const touch = (name) => {
            const body = { data: { n: `${Math.random()}` } };
            return core.patchNamespacedConfigMap({ name, namespace, body }, as("MergePatch"));
        };
        const drop = (name) => core.deleteNamespacedConfigMap({ name, namespace });
        const next = async (...wanted) => {
            await until(() => seen.length >= wanted.length, `events ${wanted}`);
            assert.deepEqual(seen.splice(0), wanted);
        };
        await make("a");
        await informer.start();
        await next(["add", "a"]);
        await make("b");
        await touch("a");
        await drop("b");
        await next(["add", "b"], ["update", "a"], ["delete", "b"]);
        const before = connected;
        await until(() => connected > before, "another watch");
        await touch("a");
        await next(["update", "a"]);
        assert.equal(informer.get("a", namespace).metadata.name, "a");

        await informer.stop();
        await touch("a");
        await make("c");
        await sleep(200);
        assert.deepEqual(seen, []);
        await informer.start();
        // what came in the meantime, in any order
        await until(() => seen.length >= 2, "what it missed");
        assert.deepEqual(seen.splice(0).sort(), [["add", "c"], ["update", "a"]]);
        await drop("a");
        await drop("c");
        await next(["delete", "a"], ["delete", "c"]);
        assert.deepEqual(informer.list(namespace), []);
        await informer.stop();
    },

    async patches(namespace) {
        const body = { metadata: { name: "patched" }, data: { a: "1", b: "2" } };
        const made = await core.createNamespacedConfigMap({ namespace, body });
        const patch = (body, strategy) => core.patchNamespacedConfigMap({ name: "patched", namespace, body }, as(strategy));
        const merged = await patch({ data: { a: null, c: "3" } }, "MergePatch");
        assert.deepEqual(merged.data, { b: "2", c: "3" });
        assert.notEqual(merged.metadata.resourceVersion, made.metadata.resourceVersion);
        const operations = [
            { op: "test", path: "/data/b", value: "2" },
            { op: "replace", path: "/data/b", value: "two" },
            { op: "add", path: "/metadata/labels", value: { "a.b/c": "d" } },
            { op: "copy", from: "/data/b", path: "/data/d" },
            { op: "remove", path: "/data/c" },
        ];
        const changed = await patch(operations, "JsonPatch");
        assert.deepEqual(changed.data, { b: "two", d: "two" });
        const relabelled = await patch([{ op: "replace", path: "/metadata/labels/a.b~1c", value: "e" }], "JsonPatch");
        assert.deepEqual(relabelled.metadata.labels, { "a.b/c": "e" });
        const failed = await refused(422, "Invalid", patch([{ op: "test", path: "/data/b", value: "2" }], "JsonPatch"));
        assert.match(failed.message, /^the server rejected our request due to an error in our request/);
        await core.deleteNamespacedConfigMap({ name: "patched", namespace });
    },

    async lists_are_merged_by_name(namespace) {
        const labels = { app: "lists" };
        const container = { name: "a", image: "busybox:1", env: [{ name: "A", value: "1" }, { name: "B", value: "2" }] };
        const template = { metadata: { labels }, spec: { containers: [container] } };
        const spec = { replicas: 0, selector: { matchLabels: labels }, template };
        await apps.createNamespacedDeployment({ namespace, body: { metadata: { name: "lists" }, spec } });
        const containers = async (list, strategy) => {
            const body = { spec: { template: { spec: { containers: list } } } };
            const patched = await apps.patchNamespacedDeployment({ name: "lists", namespace, body }, as(strategy));
            return patched.spec.template.spec.containers.map((each) => [each.name, (each.env ?? []).map((one) => one.name).join()]);
        };
        const env = [{ name: "C", value: "3" }, { $patch: "delete", name: "A" }];
        // what is new comes first
        const both = await containers([{ name: "a", env }, { name: "b", image: "busybox:1" }], "StrategicMergePatch");
        assert.deepEqual(both, [["a", "C,B"], ["b", ""]]);
        assert.deepEqual(await containers([{ name: "b", $patch: "delete" }], "StrategicMergePatch"), [["a", "C,B"]]);
        // to any other patch a list is one value
        assert.deepEqual(await containers([{ name: "c", image: "busybox:1" }], "MergePatch"), [["c", ""]]);
        await apps.deleteNamespacedDeployment({ name: "lists", namespace });
    },

    async server_side_apply(namespace) {
        const manifest = (data) => ({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "applied", namespace }, data });
        const apply = (data, fieldManager, force) =>
            core.patchNamespacedConfigMap(
                { name: "applied", namespace, body: manifest(data), fieldManager, force },
                as("ServerSideApply"),
            );
        const first = await apply({ a: "1", b: "1" }, "first");
        assert.deepEqual(
            first.metadata.managedFields.map((each) => [each.manager, each.operation, each.fieldsV1]),
            [["first", "Apply", { "f:data": { "f:a": {}, "f:b": {} } }]],
        );
        const status = await refused(409, "Conflict", apply({ b: "2" }, "second"));
        assert.deepEqual(status.details.causes, [
            { reason: "FieldManagerConflict", message: 'conflict with "first"', field: ".data.b" },
        ]);
        assert.deepEqual((await apply({ b: "2", c: "2" }, "second", true)).data, { a: "1", b: "2", c: "2" });
        // both own it where they agree
        const shared = await apply({ a: "1", b: "2" }, "first");
        const owners = shared.metadata.managedFields.filter((each) => "f:b" in each.fieldsV1["f:data"]);
        assert.deepEqual(owners.map((each) => each.manager).sort(), ["first", "second"]);
        // what only the first one owned is gone when it no longer applies it
        assert.deepEqual((await apply({}, "first")).data, { b: "2", c: "2" });
        const strategy = k8s.PatchStrategy.ServerSideApply;
        const third = await objects.patch(manifest({ d: "3" }), undefined, undefined, "third", false, strategy);
        assert.deepEqual(third.data, { b: "2", c: "2", d: "3" });
        await objects.delete(manifest({}));
        await refused(404, "NotFound", objects.read(manifest({})));
    },

    async config_maps_and_secrets(namespace) {
        const data = { "app.conf": "colour=blue\n", LEVEL: "3" };
        await core.createNamespacedConfigMap({ namespace, body: { metadata: { name: "settings" }, data } });
        const secret = { metadata: { name: "token" }, stringData: { token: "s3cret" } };
        const made = await core.createNamespacedSecret({ namespace, body: secret });
        assert.deepEqual([made.type, made.data, made.stringData], ["Opaque", { token: btoa("s3cret") }, undefined]);
        const main = {
            name: "main",
            image: "busybox:1",
            command: ["sh", "-c", 'cat /etc/app/app.conf; echo "$LEVEL $TOKEN"; cat /etc/token/token; echo; sleep 1000'],
            env: [{ name: "TOKEN", valueFrom: { secretKeyRef: { name: "token", key: "token" } } }],
            envFrom: [{ configMapRef: { name: "settings" } }],
            volumeMounts: [
                { name: "settings", mountPath: "/etc/app" },
                { name: "token", mountPath: "/etc/token", readOnly: true },
            ],
        };
        const volumes = [
            { name: "settings", configMap: { name: "settings" } },
            { name: "token", secret: { secretName: "token" } },
        ];
        const spec = { containers: [main], volumes, terminationGracePeriodSeconds: 0 };
        await core.createNamespacedPod({ namespace, body: { metadata: { name: "reader" }, spec } });
        const log = () => core.readNamespacedPodLog({ name: "reader", namespace }).catch(() => "");
        const whole = "colour=blue\n3 s3cret\ns3cret\n";
        await until(async () => (await log()) === whole, "what it reads");
        // a change comes to the pod that has it as a volume
        const patch = { name: "settings", namespace, body: { data: { "app.conf": "colour=red\n" } } };
        await core.patchNamespacedConfigMap(patch, as("MergePatch"));
        const read = async () => (await run(namespace, "reader", ["cat", "/etc/app/app.conf"])).out;
        await until(async () => (await read()) === "colour=red\n", "the change in the volume");
        await remove(namespace, "reader");
        await core.deleteNamespacedConfigMap({ name: "settings", namespace });
        await core.deleteNamespacedSecret({ name: "token", namespace });
    },

    async errors(namespace) {
        const missing = await refused(404, "NotFound", core.readNamespacedPod({ name: "none", namespace }));
        assert.equal(missing.message, 'pods "none" not found');
        assert.deepEqual(missing.details, { name: "none", kind: "pods" });
        const body = { metadata: { name: "taken" }, data: { a: "1" } };
        const made = await core.createNamespacedConfigMap({ namespace, body });
        const taken = await refused(409, "AlreadyExists", core.createNamespacedConfigMap({ namespace, body }));
        assert.equal(taken.message, 'configmaps "taken" already exists');
        await core.replaceNamespacedConfigMap({ name: "taken", namespace, body: { ...made, data: { a: "2" } } });
        const stale = core.replaceNamespacedConfigMap({ name: "taken", namespace, body: { ...made, data: { a: "3" } } });
        const words = /^Operation cannot be fulfilled on configmaps "taken": the object has been modified; please apply/;
        assert.match((await refused(409, "Conflict", stale)).message, words);
        const { uid } = made.metadata;
        const preconditions = { uid: "11111111-2222-3333-4444-555555555555" };
        await refused(409, "Conflict", core.deleteNamespacedConfigMap({ name: "taken", namespace, body: { preconditions } }));
        await core.deleteNamespacedConfigMap({ name: "taken", namespace, body: { preconditions: { uid } } });

        const wrong = { metadata: { name: "Wrong_Name" }, spec: { containers: [{ name: "a" }], restartPolicy: "Sometimes" } };
        const invalid = await refused(422, "Invalid", core.createNamespacedPod({ namespace, body: wrong }));
        assert.deepEqual([invalid.details.kind, invalid.details.name], ["Pod", "Wrong_Name"]);
        const causes = invalid.details.causes.map((each) => [each.field, each.reason]).sort();
        assert.deepEqual(causes, [
            ["metadata.name", "FieldValueInvalid"],
            ["spec.containers[0].image", "FieldValueRequired"],
            ["spec.restartPolicy", "FieldValueNotSupported"],
        ]);
        const dry = { namespace, body: { metadata: { name: "dry" } }, dryRun: "All" };
        assert((await core.createNamespacedConfigMap(dry)).metadata.uid);
        await refused(404, "NotFound", core.readNamespacedConfigMap({ name: "dry", namespace }));
        const nothing = { group: "none.example.com", version: "v1", namespace, plural: "nones" };
        await refused(404, "NotFound", custom.listNamespacedCustomObject(nothing));
        // the library sends what it does not know of objects without a type alone
        const deployments = { group: "apps", version: "v1", namespace, plural: "deployments" };
        const deployment = { apiVersion: "apps/v1", kind: "Deployment", metadata: { name: "wrong" }, spec: { replicaz: 1 } };
        const strict = custom.createNamespacedCustomObject({ ...deployments, body: deployment, fieldValidation: "Strict" });
        assert.equal(
            (await refused(400, "BadRequest", strict)).message,
            'Deployment in version "v1" cannot be handled as a Deployment: strict decoding error: unknown field "spec.replicaz"',
        );
    },

    async logs(namespace) {
        const line = "for n in 1 2 3; do echo line $n; done; until [ -e /tmp/go ]; do sleep 0.1; done; echo last";
        const made = await readyPod(namespace, line);
        const read = (more) => core.readNamespacedPodLog({ name: made, namespace, container: "main", ...more });
        await until(async () => (await read()).includes("line 3"), "its lines");
        assert.match(await read({ tailLines: 1 }), /^line 3\n?$/);
        assert.match(await read({ limitBytes: 4 }), /^line$/);
        assert.match(await read({ timestamps: true, tailLines: 1 }), /^\d{4}-\d\d-\d\dT[\d:.]+Z line 3\n?$/);
        const log = async (options) => {
            const stream = new PassThrough();
            await new k8s.Log(config).log(namespace, made, "main", stream, options);
            return stream;
        };
        assert.equal(await text(await log({ tailLines: 2 })), "line 2\nline 3\n");
        const followed = await log({ follow: true });
        const [first] = await once(followed, "data");
        assert(first.toString().startsWith("line 1\n"), first.toString());
        // the container may end before who has told it so, and takes that along
        assert([0, 137].includes((await run(namespace, made, ["touch", "/tmp/go"])).code));
        // follows until the container has ended
        const rest = await inTime(text(followed), "the end of the log");
        assert.equal(first.toString() + rest, "line 1\nline 2\nline 3\nlast\n");
        await assert.rejects(new k8s.Log(config).log(namespace, made, "none", new PassThrough()), { code: 400 });
        await remove(namespace, made);
    },

    async exec_in_a_pod(namespace) {
        const made = await readyPod(namespace, "sleep 1000");
        const done = await run(namespace, made, ["sh", "-c", "echo out; echo err >&2; exit 7"]);
        assert.deepEqual([done.out, done.err, done.code], ["out\n", "err\n", 7]);
        assert.equal(done.status.reason, "NonZeroExitCode");
        const fed = await run(namespace, made, ["sh", "-c", "wc -c; echo counted"], Readable.from([Buffer.alloc(300_000, "x")]));
        assert.deepEqual([fed.out, fed.code], ["300000\ncounted\n", 0]);
        const echoed = await run(namespace, made, ["cat"], Readable.from(["one\n", "two\n"]));
        assert.deepEqual([echoed.out, echoed.err, echoed.code], ["one\ntwo\n", "", 0]);
        // a terminal has one stream
        const stdout = new PassThrough();
        const printed = text(stdout);
        const input = new PassThrough();
        const ended = new Promise((resolve) => {
            new k8s.Exec(config).exec(namespace, made, "main", ["sh"], stdout, null, input, true, resolve);
        });
        input.write("test -t 0 && echo a-$((40 + 2))-terminal; exit 3\n");
        const status = await inTime(ended, "the end of the shell");
        assert.equal(status.details.causes[0].message, "3");
        assert.match(await printed, /\r\na-42-terminal\r\n/);
        await assert.rejects(new k8s.Exec(config).exec(namespace, "none", "main", ["true"], stdout, null, null, false));
        await remove(namespace, made);
    },

    async an_exec_that_cannot_start(namespace) {
        const made = await readyPod(namespace, "sleep 1000");
        // the streams are there by then: the status comes through one of them
        const { out, status } = await run(namespace, made, ["no-such-program"]);
        assert.deepEqual([out, status.status, status.reason, status.code], ["", "Failure", "InternalError", 500]);
        assert.match(status.message, /^Internal error occurred: error executing command in container: .*no-such-program/);
        await remove(namespace, made);
    },

    async attach_and_copy(namespace) {
        const made = await readyPod(namespace, "while read line; do echo got $line; done; sleep 1000", { stdin: true, stdinOnce: true });
        const stdout = new PassThrough();
        const input = new PassThrough();
        const socket = await new k8s.Attach(config).attach(namespace, made, "main", stdout, null, input, false);
        input.write("it\n");
        const [first] = await inTime(once(stdout, "data"), "what it got");
        assert.equal(first.toString(), "got it\n");
        socket.close();

        const directory = await mkdtemp(join(tmpdir(), "client-node-"));
        try {
            await mkdir(join(directory, "there"));
            await mkdir(join(directory, "back"));
            await writeFile(join(directory, "there", "a.txt"), "to the pod\n");
            const copy = new k8s.Cp(config);
            await copy.cpToPod(namespace, made, "main", join(directory, "there"), "/tmp");
            await until(async () => (await run(namespace, made, ["cat", "/tmp/a.txt"])).out === "to the pod\n", "the file in the pod");
            await copy.cpFromPod(namespace, made, "main", "a.txt", join(directory, "back"), "/tmp");
            const back = () => readFile(join(directory, "back", "a.txt"), "utf8").catch(() => "");
            await until(async () => (await back()) === "to the pod\n", "the file that came back");
        } finally {
            await rm(directory, { recursive: true });
        }
        await remove(namespace, made);
    },

    async port_forward(namespace) {
        await web(namespace);
        const [first] = await podsOf(namespace, "app=web");
        const forward = new k8s.PortForward(config);
        const ways = {
            pod: (socket) => forward.portForward(namespace, first, [8080], socket, null, socket),
            service: (socket) => forward.portForwardService(namespace, "web", [8080], socket, null, socket),
            deployment: (socket) => forward.portForwardDeployment(namespace, "web", [8080], socket, null, socket),
        };
        for (const [what, way] of Object.entries(ways)) {
            const sockets = [];
            const server = createServer((socket) => {
                way(socket).then((webSocket) => sockets.push(webSocket)).catch((error) => socket.destroy(error));
            });
            server.listen(0, "127.0.0.1");
            await once(server, "listening");
            for (let n = 0; n < 3; n += 1) {
                const options = { headers: { connection: "close" }, signal: AbortSignal.timeout(PATIENCE) };
                const answer = await fetch(`http://127.0.0.1:${server.address().port}/index.html`, options);
                assert.deepEqual([answer.status, await answer.text()], [200, "hello\n"], what);
            }
            assert.equal(sockets.length, 3, what);
            sockets.forEach((each) => each.close());
            server.close();
        }
        // nobody listens at that port: the error stream says so
        const [error, input] = [new PassThrough(), new PassThrough()];
        const socket = await forward.portForward(namespace, first, [9], new PassThrough(), error, input);
        const [words] = await inTime(once(error, "data"), "the error");
        assert.match(words.toString(), /9.*refused/s);
        socket.close();
        await core.deleteNamespacedService({ name: "web", namespace });
        await apps.deleteNamespacedDeployment({ name: "web", namespace });
        await until(async () => (await podsOf(namespace, "app=web")).length === 0, "the pods are gone");
    },

    async a_job_runs_to_its_end(namespace) {
        const container = { name: "main", image: "busybox:1", command: ["sh", "-c", "echo done by $JOB_COMPLETION_INDEX"] };
        const template = { spec: { restartPolicy: "Never", containers: [container] } };
        const spec = { completions: 2, parallelism: 2, completionMode: "Indexed", template };
        await batch.createNamespacedJob({ namespace, body: { metadata: { name: "counts" }, spec } });
        const read = () => batch.readNamespacedJob({ name: "counts", namespace });
        const job = await until(async () => ((await read()).status.completionTime ? read() : null), "its end");
        assert(condition(job, "Complete"));
        assert.equal(job.status.succeeded, 2);
        assert(job.status.completionTime >= job.status.startTime);
        const names = await podsOf(namespace, "batch.kubernetes.io/job-name=counts");
        const lines = await Promise.all(names.map((name) => core.readNamespacedPodLog({ name, namespace })));
        assert.deepEqual(lines.map((each) => each.trim()).sort(), ["done by 0", "done by 1"]);
        await batch.deleteNamespacedJob({ name: "counts", namespace, propagationPolicy: "Foreground" });
        await gone(read, "the job");
        assert.deepEqual(await podsOf(namespace, "job-name=counts"), []);

        const cron = { metadata: { name: "often" }, spec: { schedule: "* * * * *", suspend: true, jobTemplate: { spec: { template } } } };
        await batch.createNamespacedCronJob({ namespace, body: cron });
        await batch.deleteNamespacedCronJob({ name: "often", namespace });
    },

    async custom_resources(namespace) {
        const group = "node.example.com";
        const definition = k8s.loadYaml(DEFINITION);
        await extensions.createCustomResourceDefinition({ body: definition });
        const read = () => extensions.readCustomResourceDefinition({ name: `hats.${group}` });
        await until(async () => condition(await read(), "Established"), "the definition is established");

        const of = { group, version: "v1", namespace, plural: "hats" };
        const hat = (spec) => ({ apiVersion: `${group}/v1`, kind: "Hat", metadata: { name: "mine", namespace }, spec });
        const make = () => custom.createNamespacedCustomObject({ ...of, body: hat({ size: 2 }) });
        const made = await until(() => make().catch((error) => assert.equal(error.code, 404)), "it is served");
        assert.deepEqual([made.spec, made.metadata.generation], [{ size: 2, colour: "blue" }, 1]);
        const mine = { ...of, name: "mine" };
        const patch = (body) => custom.patchNamespacedCustomObject({ ...mine, body }, as("MergePatch"));
        assert.equal((await patch({ spec: { colour: "red" }, status: { size: 9 } })).status, undefined);
        const told = await custom.patchNamespacedCustomObjectStatus({ ...mine, body: { status: { size: 2 } } }, as("MergePatch"));
        assert.deepEqual([told.status, told.spec.colour, told.metadata.generation], [{ size: 2 }, "red", 2]);
        const scale = await custom.getNamespacedCustomObjectScale(mine);
        assert.deepEqual([scale.kind, scale.spec.replicas, scale.status.replicas], ["Scale", 2, 2]);
        const invalid = await refused(422, "Invalid", patch({ spec: { size: 0 } }));
        assert.deepEqual(invalid.details.causes.map((each) => each.field), ["spec.size"]);
        await refused(415, "UnsupportedMediaType", custom.patchNamespacedCustomObject({ ...mine, body: {} }, as("StrategicMergePatch")));

        // the same by the kind alone
        const found = await objects.read(hat());
        assert.equal(found.spec.colour, "red");
        const applied = await objects.patch(hat({ size: 5 }), undefined, undefined, "node", true, k8s.PatchStrategy.ServerSideApply);
        assert.deepEqual(applied.spec, { size: 5, colour: "red" });
        const current = await objects.read(hat());
        current.spec.colour = "green";
        assert.equal((await objects.replace(current)).metadata.generation, 4);
        const listed = await objects.list(`${group}/v1`, "Hat", namespace);
        assert.deepEqual([listed.kind, listed.items.map((each) => each.spec)], ["HatList", [{ size: 5, colour: "green" }]]);
        await objects.delete(hat());
        assert.deepEqual((await custom.listNamespacedCustomObject(of)).items, []);
        await extensions.deleteCustomResourceDefinition({ name: `hats.${group}` });
        await gone(read, "the definition");
        await refused(404, "NotFound", custom.listNamespacedCustomObject(of));
    },

    async a_lease_is_taken(namespace) {
        const now = new k8s.V1MicroTime();
        const spec = { holderIdentity: "one", leaseDurationSeconds: 15, acquireTime: now, renewTime: now };
        const made = await leases.createNamespacedLease({ namespace, body: { metadata: { name: "leader" }, spec } });
        // the library sends microseconds, and leaves text what it reads of them
        assert.equal(made.spec.renewTime, now.toISOString());
        const hold = (holderIdentity) => {
            const times = { acquireTime: now, renewTime: new k8s.V1MicroTime() };
            const body = { ...made, spec: { ...made.spec, ...times, holderIdentity } };
            return leases.replaceNamespacedLease({ name: "leader", namespace, body });
        };
        // two of them can not hold it
        const outcomes = await Promise.allSettled(["two", "three", "four"].map(hold));
        const held = outcomes.filter((each) => each.status === "fulfilled");
        assert.equal(held.length, 1);
        for (const each of outcomes) assert(each.status === "fulfilled" || each.reason.code === 409, each.reason);
        const { spec: seen } = await leases.readNamespacedLease({ name: "leader", namespace });
        assert.equal(seen.holderIdentity, held[0].value.spec.holderIdentity);
        await leases.deleteNamespacedLease({ name: "leader", namespace });
    },

    async metrics(namespace) {
        const resources = { requests: { cpu: "50m", memory: "32Mi" }, limits: { cpu: "100m", memory: "64Mi" } };
        const made = await readyPod(namespace, "while true; do :; done", { resources });
        const metrics = new k8s.Metrics(config);
        const used = async () => {
            const { items } = await metrics.getPodMetrics(namespace);
            const seen = items.find((each) => each.metadata.name === made);
            return seen && seen.containers[0].usage.cpu !== "0" && seen;
        };
        const seen = await until(used, "its metrics");
        assert.equal(seen.containers[0].name, "main");
        assert.match(seen.containers[0].usage.memory, /^\d+Ki$/);
        const nodes = await metrics.getNodeMetrics();
        assert.deepEqual([nodes.kind, nodes.items.length], ["NodeMetricsList", 1]);
        const pods = await k8s.topPods(core, metrics, namespace);
        const top = pods.find((each) => each.Pod.metadata.name === made);
        assert(top.CPU.CurrentUsage > 0 && top.Memory.CurrentUsage > 0, "the pod uses something");
        assert.deepEqual([top.CPU.RequestTotal, top.CPU.LimitTotal, top.Memory.LimitTotal], [0.05, 0.1, 67108864n]);
        const [node] = await k8s.topNodes(core);
        assert(node.CPU.Capacity >= 1 && node.CPU.RequestTotal >= 0.05, "the node has what is requested of it");
        await remove(namespace, made);
    },

    async pages_and_collections(namespace) {
        const names = Array.from({ length: 25 }, (_, n) => `many-${String(n).padStart(2, "0")}`);
        const labels = { of: "many" };
        await Promise.all(names.map((name) => core.createNamespacedConfigMap({ namespace, body: { metadata: { name, labels } } })));
        const seen = [];
        let page = { metadata: {} };
        do {
            const { _continue } = page.metadata;
            page = await core.listNamespacedConfigMap({ namespace, labelSelector: "of=many", limit: 10, _continue });
            seen.push(page.items.map((each) => each.metadata.name));
        } while (page.metadata._continue);
        assert.deepEqual([seen.map((each) => each.length), seen.flat()], [[10, 10, 5], names]);
        await core.deleteCollectionNamespacedConfigMap({ namespace, labelSelector: "of=many" });
        assert.equal((await core.listNamespacedConfigMap({ namespace, labelSelector: "of=many" })).items.length, 0);
    },
};

const wanted = process.argv.slice(2);
const namespace = name("everyday");
await core.createNamespace({ body: { metadata: { name: namespace } } });
const failed = [];
for (const [each, check] of Object.entries(checks)) {
    if (wanted.length > 0 && !wanted.includes(each)) continue;
    try {
        await check(namespace);
        console.log("ok    ", each);
    } catch (error) {
        failed.push(each);
        console.log("FAILED", each, error);
    }
}
await core.deleteNamespace({ name: namespace });
await gone(() => core.readNamespace({ name: namespace }), "the namespace");
if (failed.length > 0) console.error("failed:", failed);
process.exit(failed.length > 0 ? 1 : 0);
