"""Renders a Kustomize base of each chart into kustomize/<plugin>: python tests/charts/kustomize.py [--check]"""

import re
import sys

import yaml

from charts import DECLARATIVE, PLUGINS, ROOT, required, text

BASES = ROOT / "kustomize"
# Helm's values have the plugins' files, without which that chart is nothing.
BASED = [plugin for plugin in PLUGINS if plugin != DECLARATIVE]
MADE = "# Generated from charts/{plugin} by tests/charts/kustomize.py; do not edit.\n"
# Lines about Helm, the namespace that kustomization.yaml sets, or a file that Kustomize hashes itself.
HELMS_OWN = re.compile(
    r"^( *helm\.sh/chart: .*| *app\.kubernetes\.io/managed-by: Helm|# Source: .*|  namespace: .*"
    r"| *# The file is read at start-up only\.| *checksum/auth: .*)\n",
    re.MULTILINE,
)
KUSTOMIZATION = """\
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: flyte
resources:
  - resources.yaml
# A change to auth.yaml changes the ConfigMap's name, so the pods restart.
configMapGenerator:
  - name: {plugin}-auth
    files:
      - auth.yaml
"""


FLAGS = ("--no-hooks",)


def values_of(plugin):
    return {"handleKeys": {"existingSecret": f"{plugin}-handle-keys"}}


def without_required(plugin, document):
    """A base has no value for what each installation must set itself; the chart wants one to render."""
    names = "|".join(map(re.escape, required(plugin)["settings"]))
    return re.sub(rf'^ *- name: "({names})"\n *value: .*\n', "", document, flags=re.MULTILINE) if names else document


def rendered(plugin):
    """The files of the base: name to content."""
    objects, auth = [], None
    for document in text(plugin, values_of(plugin), flags=FLAGS).split("---\n")[1:]:
        read = yaml.safe_load(document)
        if read["kind"] == "ConfigMap":
            auth = read["data"]["auth.yaml"]
        else:
            objects.append(HELMS_OWN.sub("", without_required(plugin, document)).strip() + "\n")
    files = {"kustomization.yaml": KUSTOMIZATION, "resources.yaml": "---\n".join(objects), "auth.yaml": auth}
    return {name: (MADE + content).replace("{plugin}", plugin) for name, content in files.items()}


def main(check):
    outdated = []
    for plugin in BASED:
        for name, content in rendered(plugin).items():
            file = BASES / plugin / name
            if not file.exists() or file.read_text() != content:
                outdated.append(str(file.relative_to(ROOT)))
                if not check:
                    file.parent.mkdir(parents=True, exist_ok=True)
                    file.write_text(content)
    for file in outdated:
        print(f"{'outdated' if check else 'written'}   {file}")
    return 1 if check and outdated else 0


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
