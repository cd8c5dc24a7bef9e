$(eval $(call guest,hello-protected,protected))
