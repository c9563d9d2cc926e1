{{/* The prefix of all names. A release may have a dot in its name, a Service may not. */}}
{{- define "lcw.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- .Values.fullnameOverride | default $full | replace "." "-" | trunc 45 | trimSuffix "-" -}}
{{- end -}}

{{- define "lcw.labels" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride | trunc 63 | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* What a role's pods are found by: (dict "root" $ "role" "node"). Never changes: it is immutable. */}}
{{- define "lcw.selector" -}}
app: lukscryptwalker-csi-{{ .role }}
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
{{- end -}}

{{- define "lcw.serviceAccount" -}}
{{- $account := index .root.Values.serviceAccount .role -}}
{{- if not (or $account.create $account.name) -}}
{{- fail (printf "serviceAccount.%s.create is false: say in serviceAccount.%s.name which account its pods have" .role .role) -}}
{{- end -}}
{{- $account.name | default (printf "%s-%s" (include "lcw.fullname" .root) .role) -}}
{{- end -}}

{{/* An image of {repository, tag, digest}. */}}
{{- define "lcw.image" -}}
{{- if .digest -}}{{ .repository }}@{{ .digest }}{{- else -}}{{ .repository }}:{{ .tag }}{{- end -}}
{{- end -}}

{{- define "lcw.driverImage" -}}
{{- $tag := .Values.image.tag | default (printf "v%s" .Chart.AppVersion) -}}
{{ include "lcw.image" (merge (dict "tag" $tag) .Values.image) }}
{{- end -}}

{{- define "lcw.logLevel" -}}
{{- $level := .Values.logging.level | toString -}}
{{- if regexMatch "^[0-9]+$" $level -}}
{{- ternary "debug" "info" (ge (int $level) 5) -}}
{{- else -}}
{{- $level -}}
{{- end -}}
{{- end -}}

{{/* Options that all roles have. */}}
{{- define "lcw.commonArgs" -}}
- --log-format={{ .Values.logging.format }}
- --log-level={{ include "lcw.logLevel" . }}
{{- end -}}

{{/* Everything of a pod that comes from values: (dict "root" $ "role" "node"). */}}
{{- define "lcw.podMetadata" -}}
{{- $role := index .root.Values .role -}}
labels:
  {{- include "lcw.labels" .root | nindent 2 }}
  app: lukscryptwalker-csi-{{ .role }}
  {{- with merge (dict) ($role.podLabels | default dict) (.root.Values.podLabels | default dict) }}
  {{- if or (hasKey . "app") (hasKey . "app.kubernetes.io/instance") }}
  {{- fail "podLabels: the labels app and app.kubernetes.io/instance are those by which the pods are found" }}
  {{- end }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with merge (dict) ($role.podAnnotations | default dict) (.root.Values.podAnnotations | default dict) }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "lcw.podPlacement" -}}
{{- $role := index .root.Values .role -}}
nodeSelector:
  {{- toYaml (merge (dict "kubernetes.io/os" "linux") ($role.nodeSelector | default dict) (.root.Values.nodeSelector | default dict)) | nindent 2 }}
{{- with concat ($role.tolerations | default list) (.root.Values.tolerations | default list) }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $role.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* The securityContext of a container that needs no privilege. */}}
{{- define "lcw.confined" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* Until its first answer only startupProbe asks, and not in the first moment: a start is no warning. */}}
{{- define "lcw.probes" -}}
startupProbe:
  httpGet: {path: /healthz, port: http}
  initialDelaySeconds: 2
  periodSeconds: 2
  timeoutSeconds: 5
  failureThreshold: 60
livenessProbe:
  httpGet: {path: /healthz, port: http}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: {path: /readyz, port: http}
  periodSeconds: 10
  timeoutSeconds: 5
{{- end -}}

{{/* What crds/ has as annotation, which templates cannot read. One more with each change of a definition. */}}
{{- define "lcw.definitions" -}}
luksnodes: 1
luksvolumes: 1
{{- end -}}
