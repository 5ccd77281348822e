{{- /* The image of the service, as its workload has it. */ -}}
{{- define "order.image" -}}
{{- $version := printf ":%s" (default .Values.global.image.tag .Values.image.tag) -}}
{{- printf "%s/%s%s" .Values.global.image.registry .Values.image.repository (ternary (printf "@%s" .Values.image.digest) $version (not (empty .Values.image.digest))) -}}
{{- end -}}
