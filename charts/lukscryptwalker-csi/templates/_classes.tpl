{{/*
Classes as the templates use them. The values have two forms in places (this chart's and that of the
Go driver); everything else sees only what is made here.
*/}}

{{/* The passphrase Secret of a class, with what it leaves out: (dict "root" $ "class" class), JSON. */}}
{{- define "lcw.classSecret" -}}
{{- $global := .root.Values.secret -}}
{{- $own := .class.secret | default dict -}}
{{- $same := and (eq ($own.name | default $global.name) $global.name) (eq ($own.namespace | default $global.namespace) $global.namespace) -}}
{{- dict
    "name" ($own.name | default $global.name)
    "namespace" ($own.namespace | default $global.namespace)
    "key" ($own.passphraseKey | default $global.passphraseKey)
    "create" (ternary $own.create (and $same $global.create) (hasKey $own "create"))
    "passphrase" ($own.passphrase | default (ternary $global.passphrase "" $same) | default "")
    | toJson -}}
{{- end -}}

{{/* The S3 part of a class in one form, JSON. */}}
{{- define "lcw.classS3" -}}
{{- $s3 := .s3 -}}
{{- $secret := $s3.credentialsSecret | default $s3.secret -}}
{{- if not $secret -}}
{{- fail (printf "s3StorageClasses: class '%s' needs s3.credentialsSecret.name, the Secret with its S3 keys" .name) -}}
{{- end -}}
{{- $force := $s3.forcePathStyle | default $secret.forcePathStyle | default false -}}
{{- dict
    "bucket" ($s3.bucket | default $secret.bucket | default "")
    "region" ($s3.region | default $secret.region | default "")
    "endpoint" ($s3.endpoint | default $secret.endpoint | default "")
    "forcePathStyle" (ternary "true" "" (eq ($force | toString) "true"))
    "pathPrefix" ($s3.pathPrefix | default "")
    "secretName" $secret.name
    "secretNamespace" ($secret.namespace | default "kube-system")
    "create" ($secret.create | default false)
    "accessKeyId" ($secret.accessKeyId | default "")
    "secretAccessKey" ($secret.secretAccessKey | default "")
    | toJson -}}
{{- end -}}

{{/*
Kubernetes refuses to change these, and an upgrade that tried would stop half done:
(dict "root" $ "class" class "parameters" dict of all parameters).
*/}}
{{- define "lcw.checkClass" -}}
{{- $there := lookup "storage.k8s.io/v1" "StorageClass" "" .class.name -}}
{{- $marks := dig "metadata" "annotations" dict $there -}}
{{- if and .root.Release.IsUpgrade $there (eq (get $marks "meta.helm.sh/release-name") .root.Release.Name) -}}
{{- $changed := list -}}
{{- $before := $there.parameters | default dict -}}
{{- $parameters := .parameters -}}
{{- range $key := concat (keys $parameters) (keys $before) | uniq | sortAlpha -}}
{{- if ne (get $parameters $key) (get $before $key) -}}
{{- $changed = append $changed (printf "%s '%s' to '%s'" $key (get $before $key) (get $parameters $key)) -}}
{{- end -}}
{{- end -}}
{{- $policy := .class.reclaimPolicy | default "Delete" -}}
{{- $mode := .class.volumeBindingMode | default "WaitForFirstConsumer" -}}
{{- if ne $policy $there.reclaimPolicy -}}{{- $changed = append $changed (printf "reclaimPolicy %s to %s" $there.reclaimPolicy $policy) -}}{{- end -}}
{{- if ne $mode $there.volumeBindingMode -}}{{- $changed = append $changed (printf "volumeBindingMode %s to %s" $there.volumeBindingMode $mode) -}}{{- end -}}
{{- with $changed -}}
{{- fail (printf "Kubernetes does not let StorageClass '%s' be changed (%s). Nothing was upgraded. Run 'kubectl delete storageclass %s', which no volume notices, and upgrade again" $.class.name (join ", " .) $.class.name) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* A whole StorageClass: (dict "root" $ "class" class "parameters" dict). */}}
{{- define "lcw.storageClass" -}}
{{- $secret := include "lcw.classSecret" . | fromJson -}}
{{- $parameters := merge (dict
    "csi.storage.k8s.io/node-stage-secret-name" $secret.name
    "csi.storage.k8s.io/node-stage-secret-namespace" $secret.namespace
    "passphraseKey" $secret.key) .parameters -}}
{{- if not (kindIs "invalid" .class.fsGroup) -}}
{{- $_ := set $parameters "fsGroup" (.class.fsGroup | int64 | toString) -}}
{{- end -}}
{{- with .class.fsMode -}}{{- $_ := set $parameters "fs-mode" . -}}{{- end -}}
{{- range $key, $value := .class.parameters | default dict -}}
{{- if hasKey $parameters $key -}}
{{- fail (printf "StorageClass '%s': parameters.%s is set by the chart already: use the key of the values for it" $.class.name $key) -}}
{{- end -}}
{{- $_ := set $parameters $key (toString $value) -}}
{{- end -}}
{{- include "lcw.checkClass" (dict "root" .root "class" .class "parameters" $parameters) -}}
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata:
  name: {{ .class.name | quote }}
  labels:
    {{- include "lcw.labels" .root | nindent 4 }}
    {{- with .class.labels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- $annotations := merge (dict) (.class.annotations | default dict) }}
  {{- if .class.isDefault }}
  {{- $_ := set $annotations "storageclass.kubernetes.io/is-default-class" "true" }}
  {{- end }}
  {{- with $annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
provisioner: {{ .root.Values.csiDriver.name }}
parameters:
  {{- toYaml $parameters | nindent 2 }}
reclaimPolicy: {{ .class.reclaimPolicy | default "Delete" }}
volumeBindingMode: {{ .class.volumeBindingMode | default "WaitForFirstConsumer" }}
allowVolumeExpansion: {{ ternary .class.allowVolumeExpansion true (hasKey .class "allowVolumeExpansion") }}
{{- with .class.mountOptions }}
mountOptions:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .class.allowedTopologies }}
allowedTopologies:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Where a class without localPath puts its files. */}}
{{- define "lcw.localPath" -}}
{{- .Values.storage.defaultPath | default .Values.storage.localPath -}}
{{- end -}}

{{/* The Secrets with S3 keys that the driver may read: JSON {"NAMESPACE": [NAME...]}. */}}
{{- define "lcw.s3Secrets" -}}
{{- $found := dict -}}
{{- range .Values.s3StorageClasses -}}
{{- $s3 := include "lcw.classS3" . | fromJson -}}
{{- $_ := set $found $s3.secretNamespace (append (get $found $s3.secretNamespace | default list) $s3.secretName | uniq | sortAlpha) -}}
{{- end -}}
{{- range .Values.rbac.extraS3Secrets -}}
{{- $_ := set $found .namespace (append (get $found .namespace | default list) .name | uniq | sortAlpha) -}}
{{- end -}}
{{- toJson $found -}}
{{- end -}}

{{/*
The passphrase Secrets that the chart makes if they do not exist: JSON
{"NAMESPACE/NAME": {"name", "namespace", "keys": {KEY: PASSPHRASE or ""}}}.
*/}}
{{- define "lcw.wantedSecrets" -}}
{{- $root := . -}}
{{- $wanted := dict -}}
{{- range concat (.Values.storageClasses | default list) (.Values.s3StorageClasses | default list) -}}
{{- $secret := include "lcw.classSecret" (dict "root" $root "class" .) | fromJson -}}
{{- if $secret.create -}}
{{- $place := printf "%s/%s" $secret.namespace $secret.name -}}
{{- if not (hasKey $wanted $place) -}}
{{- $_ := set $wanted $place (dict "name" $secret.name "namespace" $secret.namespace "keys" dict) -}}
{{- end -}}
{{- $keys := (get $wanted $place).keys -}}
{{- if and (get $keys $secret.key) $secret.passphrase (ne (get $keys $secret.key) $secret.passphrase) -}}
{{- fail (printf "two classes give different passphrases for the key '%s' of the Secret '%s'" $secret.key $place) -}}
{{- end -}}
{{- $_ := set $keys $secret.key ($secret.passphrase | default (get $keys $secret.key) | default "") -}}
{{- end -}}
{{- end -}}
{{- toJson $wanted -}}
{{- end -}}
