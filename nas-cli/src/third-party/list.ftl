<#-- One line for each dependency: coordinates, name, licenses as its POM tells them. -->
<#list dependencyMap as entry>
<#assign project = entry.getKey()>
${project.groupId}:${project.artifactId}:${project.version} | ${project.name} | ${entry.getValue()?join("; ")}
</#list>
