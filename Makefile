# The front door. Every target is one script, which can also be called by itself.
# `make help` lists them.
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := build
.PHONY: build demo demo-s3 test test-kubernetes torture check bench fmt lint manifests e2e docker-build kind-deploy kind-clean clean dev-setup help

build: ## build/lukscryptwalker-csi and build/lcw; installs missing build packages first
	@scripts/install-deps build
	@scripts/build build

demo: build ## a guided tour on a real kernel
	@scripts/install-deps demo
	@scripts/demo

demo-s3: build ## the same for volumes in S3, with a real S3 server
	@scripts/install-deps demo
	@scripts/demo-s3

test: ## everything; the last line is `N passed, N failed`
	@scripts/test

test-kubernetes: ## what talks to Kubernetes: chart, controller and nodes on a real control plane
	@scripts/test chart kube

e2e: ## a real cluster: kubelet, pods, our image, the specification as the test script
	@scripts/e2e

torture: build ## the long form of the tests: faults at every system call; takes hours
	@scripts/install-deps test
	@scripts/torture

check: ## what needs neither a kernel nor a run: layers, layout, lint
	@scripts/install-deps build test
	@scripts/check-layers
	@scripts/check-layers --self-test
	@scripts/fmt --check
	@scripts/lint

bench: build ## measurements on a real kernel
	@scripts/install-deps demo
	@scripts/bench

fmt: ## clang-format over src and tests
	@scripts/fmt

lint: ## clang-tidy over the C code, shellcheck over the scripts, actionlint over GitHub's workflows
	@scripts/lint

manifests: build ## deploy/ and the reference of StorageClass parameters, from chart and code
	@scripts/install-deps test
	@scripts/reference
	@scripts/manifests

docker-build: ## the image, with docker, podman or buildah (scripts/image says how to name it)
	@scripts/image

kind-deploy: ## a cluster in containers with the driver and an encrypted volume in use
	@scripts/kind deploy

kind-clean: ## the end of that cluster
	@scripts/kind clean

clean: ## remove the build folders (the cache of built tools stays)
	rm -rf build build-asan build-clang build-fuzz build-test

dev-setup: ## every package, tool and Python library that build and tests use
	@scripts/install-deps build test demo vm image e2e
	@scripts/tools all
	@scripts/kind check

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' Makefile
