//! Builds what a release has for this machine's architecture.

use std::path::Path;

use anyhow::Result;

use super::Publisher;
use crate::{
    image::{self, Audit, architecture},
    process::{program, works},
    release::artefacts::{Image, PROGRAM, archive},
    wheel::{self, PROGRAMS},
};

/// The builder that writes archives: Docker's own cannot.
const BUILDER: &str = "outrigger";

impl Publisher<'_> {
    /// Builds images, wheels and programs.
    pub(super) fn build(&self) -> Result<()> {
        let images = image::all(self.generator, self.home)?;
        let mut packages = images.iter().map(|image| &*image.package).collect::<Vec<_>>();
        packages.extend(PROGRAMS.iter().filter(|name| **name != image::BRIDGE));
        if self.shell.dry {
            println!("would build for {}: {}", architecture(), packages.join(", "));
            return self.other_images();
        }
        std::fs::create_dir_all(self.directory.join("images"))?;
        std::fs::create_dir_all(self.files_directory())?;
        let programs =
            image::build(&self.generator.project, &packages, Audit::Embedded, self.home)?;
        for image in &images {
            let name = image.repository.rsplit('/').next().unwrap_or(&image.package);
            let output = self.image(name, Some(architecture()));
            image.pack(&self.release.version, self.home, &programs, &output)?;
        }
        self.archive(&programs)?;
        let wheel = wheel::of_release(&programs, &self.files_directory())?;
        println!("{}", wheel.display());
        self.pure_wheels()?;
        self.other_images()
    }

    /// The program for authors, in an archive with the same bytes for the same program.
    fn archive(&self, programs: &Path) -> Result<()> {
        let name = archive(&self.release.version, std::env::consts::ARCH);
        let mut tar = program("tar");
        tar.args(["--create", "--sort=name", "--owner=0", "--group=0", "--numeric-owner"]);
        tar.args([
            "--mode=go=rX",
            "--mtime=@0",
            "--use-compress-program=gzip --no-name --best",
            "--file",
        ]);
        tar.arg(self.files_directory().join(name));
        tar.arg("--directory").arg(programs).arg(PROGRAM);
        tar.arg("--directory").arg(self.root()).arg("LICENSE");
        self.shell.run(&mut tar)
    }

    /// Wheels without programs are the same on every machine; one of them builds these.
    fn pure_wheels(&self) -> Result<()> {
        if architecture() != "amd64" {
            return Ok(());
        }
        for package in self.release.wheels.iter().filter(|package| !package.has_programs) {
            let mut pip = program(self.python()?);
            pip.args(["-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir"]);
            pip.arg(self.files_directory()).arg(format!("./{}", package.directory));
            self.shell.run(&mut pip)?;
        }
        Ok(())
    }

    /// Python with pip, below target/.
    fn python(&self) -> Result<std::path::PathBuf> {
        let directory = crate::target("publish-venv");
        let python = directory.join("bin/python");
        if !python.is_file() {
            let mut venv = program("python3");
            self.shell.run(venv.args(["-m", "venv"]).arg(&directory))?;
        }
        Ok(python)
    }

    /// Images of plugins in other languages, by their Dockerfiles.
    fn other_images(&self) -> Result<()> {
        let others = self.release.images.iter();
        let others = others.filter_map(|image| Some((image, image.context.as_deref()?)));
        for (image, context) in others {
            self.docker(image, context)?;
        }
        Ok(())
    }

    fn docker(&self, image: &Image, context: &str) -> Result<()> {
        // Before the wheel is in the tree.
        let revision = image::revision();
        if !self.shell.dry {
            self.lend_wheel(context)?;
            if !works(program("docker").args(["buildx", "inspect", BUILDER])) {
                let create = ["buildx", "create", "--name", BUILDER, "--driver=docker-container"];
                self.shell.run(program("docker").args(create))?;
            }
        }
        let version = &self.release.version;
        let output = self.image(&image.name, Some(architecture()));
        let mut docker = program("docker");
        docker.args(["buildx", "build", "--builder", BUILDER, "--provenance=false"]);
        docker.args(["--tag", &format!("{}:{version}", image.repository)]);
        docker.args(["--build-arg", &format!("VERSION={version}")]);
        docker.args(["--build-arg", &format!("REVISION={revision}")]);
        if !self.release.repository.is_empty() {
            let source = &self.release.repository;
            docker.arg(format!("--label=org.opencontainers.image.source={source}"));
        }
        docker.arg(format!("--output=type=oci,dest={}", output.display())).arg(context);
        let built = self.shell.run(&mut docker);
        if !self.shell.dry {
            self.take_wheel_back(context)?;
        }
        built
    }

    /// A plugin in Python is built with this release's package for authors, which no index has yet.
    fn lend_wheel(&self, context: &str) -> Result<()> {
        for wheel in self.wheels_for_authors()? {
            let name = wheel.file_name().unwrap_or_default();
            std::fs::copy(&wheel, self.root().join(context).join(name))?;
        }
        Ok(())
    }

    fn take_wheel_back(&self, context: &str) -> Result<()> {
        for wheel in self.wheels_for_authors()? {
            let name = wheel.file_name().unwrap_or_default();
            std::fs::remove_file(self.root().join(context).join(name))?;
        }
        Ok(())
    }

    fn wheels_for_authors(&self) -> Result<Vec<std::path::PathBuf>> {
        wheel::wheels(&self.files_directory())
    }
}
