.PHONY: build
build:
	npx tsc -b
