# syntax=docker/dockerfile:1
FROM python:3.13-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev
WORKDIR /src
COPY requirements.lock pyproject.toml hatch_build.py README.md LICENSE ./
COPY scripts/compile_data_path.py scripts/
COPY pyproxy pyproxy
# The data path is compiled.
ENV HATCH_BUILD_HOOKS_ENABLE=1
RUN python -m venv /opt/pyproxy \
 && /opt/pyproxy/bin/pip install --no-cache-dir --require-hashes -r requirements.lock \
 && /opt/pyproxy/bin/pip install --no-cache-dir --no-deps .

FROM python:3.13-slim
LABEL org.opencontainers.image.title="pyproxy" \
      org.opencontainers.image.description="Does what Envoy Gateway's ClientTrafficPolicy makes an Envoy listener do" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/pyproxy /opt/pyproxy
COPY config/quickstart.yaml /etc/pyproxy/quickstart.yaml
ENV PATH=/opt/pyproxy/bin:$PATH PYTHONUNBUFFERED=1
USER 65532:65532
EXPOSE 10080 19000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:19000/ready', timeout=2)"]
ENTRYPOINT ["pyproxy"]
CMD ["serve", "-f", "/etc/pyproxy", "--address", "0.0.0.0"]
