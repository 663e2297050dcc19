{{- define "cache.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "cache.selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "cache.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{ include "cache.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "cache.image" -}}
{{- printf "%s:%v" .Values.image.repository .Values.image.tag -}}
{{- end -}}

{{- /* Of the release that is there already, so that an upgrade leaves it as it is. */ -}}
{{- define "cache.password" -}}
{{- $there := lookup "v1" "Secret" .Release.Namespace (include "cache.fullname" .) -}}
{{- if .Values.auth.password -}}
{{- .Values.auth.password | b64enc -}}
{{- else if $there -}}
{{- index $there.data "password" -}}
{{- else -}}
{{- randAlphaNum 16 | b64enc -}}
{{- end -}}
{{- end -}}

{{- /* Of a component, `soft` or none: rather on different nodes. Takes (list . COMPONENT PRESET). */ -}}
{{- define "cache.affinity" -}}
{{- $root := index . 0 -}}
{{- if eq (index . 2) "soft" -}}
podAntiAffinity:
  preferredDuringSchedulingIgnoredDuringExecution:
    - weight: 1
      podAffinityTerm:
        topologyKey: kubernetes.io/hostname
        labelSelector:
          matchLabels:
            {{- include "cache.selectorLabels" $root | nindent 12 }}
            app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}
{{- end -}}

{{- /* The containers and volumes of a component. Takes (list . COMPONENT). */ -}}
{{- define "cache.pod" -}}
{{- $root := index . 0 -}}
{{- $component := index . 1 -}}
terminationGracePeriodSeconds: 5
securityContext: {{- toYaml $root.Values.podSecurityContext | nindent 2 }}
containers:
  - name: cache
    image: {{ include "cache.image" $root }}
    imagePullPolicy: {{ $root.Values.image.pullPolicy }}
    command: [sh, /opt/cache/start-{{ $component }}.sh]
    env:
      - name: REDISCLI_AUTH
        valueFrom: {secretKeyRef: {name: {{ include "cache.fullname" $root }}, key: password}}
    ports:
      - {name: cache, containerPort: 6379}
    readinessProbe:
      exec: {command: [sh, /opt/cache/ready-{{ $component }}.sh]}
      periodSeconds: 1
      timeoutSeconds: 5
    livenessProbe:
      tcpSocket: {port: cache}
      initialDelaySeconds: 5
    resources: {{- toYaml $root.Values.resources | nindent 6 }}
    volumeMounts:
      - {name: config, mountPath: /opt/cache}
      - {name: data, mountPath: /data}
volumes:
  - name: config
    configMap: {name: {{ include "cache.fullname" $root }}}
  - name: data
    emptyDir: {sizeLimit: 64Mi}
{{- end -}}
